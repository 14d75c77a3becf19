/** Finds an escape sequence, or a character, whose rest is still to come. The terminal shows nothing of an unfinished
 * sequence, so a copy of the screen has to carry the sequence besides.
 */

const ESC = 0x1b;
const BEL = 0x07;
/** Bytes behind ESC that begin CSI and, in STRINGS, OSC, DCS, SOS, PM and APC. */
const CSI = 0x5b;
const STRINGS: readonly number[] = [0x5d, 0x50, 0x58, 0x5e, 0x5f];

type State = "ground" | "escape" | "csi" | "string" | "stringEscape";

/** Returns the unfinished end of `data`, as a terminal parses `data`; empty if `data` ends with a whole character. */
export function partialSequence(data: Uint8Array): Uint8Array {
  let state: State = "ground";
  let start = data.length;
  data.forEach((byte, index) => {
    const next = step(state, byte);
    if (state === "ground" && next !== "ground") start = index;
    if (byte === ESC && next === "escape") start = index; // outside a string, ESC begins a new sequence
    state = next;
  });
  return data.subarray(state === "ground" ? data.length - halfCharacter(data) : start);
}

function step(state: State, byte: number): State {
  if (byte === 0x18 || byte === 0x1a) return "ground"; // CAN and SUB
  switch (state) {
    case "ground":
      return byte === ESC ? "escape" : "ground";
    case "escape":
      if (byte === ESC || byte < 0x30) return "escape"; // intermediate bytes and controls leave the sequence open
      if (byte === CSI) return "csi";
      return STRINGS.includes(byte) ? "string" : "ground";
    case "csi":
      if (byte === ESC) return "escape";
      return byte >= 0x40 && byte <= 0x7e ? "ground" : "csi";
    case "string":
      if (byte === ESC) return "stringEscape";
      return byte === BEL ? "ground" : "string";
    case "stringEscape":
      return step("escape", byte);
  }
}

/** Counts the bytes of an incomplete UTF-8 character at the end of `data`; 0 if the last character is whole. */
function halfCharacter(data: Uint8Array): number {
  for (let back = 1; back <= Math.min(3, data.length); back += 1) {
    const byte = data[data.length - back] ?? 0;
    if (byte >= 0xc0) return back < characterLength(byte) ? back : 0;
    if (byte < 0x80) return 0;
  }
  return 0;
}

function characterLength(first: number): number {
  if (first >= 0xf0) return 4;
  return first >= 0xe0 ? 3 : 2;
}
