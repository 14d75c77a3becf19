/** Joins byte arrays, and converts bytes to text and back for sessionStorage, which stores text alone. */

/** Copies `parts` into one array. */
export function join(parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let offset = 0;
  for (const part of parts) {
    whole.set(part, offset);
    offset += part.length;
  }
  return whole;
}

/** Returns text with a UTF-16 unit for each byte of `data`. */
export function toUnits(data: Uint8Array): string {
  let text = "";
  for (let index = 0; index < data.length; index += 4096) text += String.fromCharCode(...data.subarray(index, index + 4096));
  return text;
}

/** Returns the low byte of each UTF-16 unit of `text`. */
export function fromUnits(text: string): Uint8Array {
  return Uint8Array.from(text, (unit) => unit.charCodeAt(0) & 0xff);
}
