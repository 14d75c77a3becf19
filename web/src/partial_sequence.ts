/** An escape sequence, or a character, whose beginning is drawn and whose rest is still to come: nothing of it is on
 * the screen, so a copy of the screen needs it besides.
 */

const ESC = 0x1b;
const BEL = 0x07;
/** What CSI, OSC, DCS, SOS, PM and APC begin with, behind ESC. */
const CSI = 0x5b;
const STRINGS: readonly number[] = [0x5d, 0x50, 0x58, 0x5e, 0x5f];

type State = "ground" | "escape" | "csi" | "string" | "stringEscape";

/** The unfinished end of `data`, as a terminal would see it; empty where it ends between two characters. */
export function partialSequence(data: Uint8Array): Uint8Array {
  let state: State = "ground";
  let start = data.length;
  data.forEach((byte, index) => {
    const next = step(state, byte);
    if (state === "ground" && next !== "ground") start = index;
    if (byte === ESC && next === "escape") start = index; // ESC begins anew wherever it stands, but in a string
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
      if (byte === ESC || byte < 0x30) return "escape"; // intermediate bytes, and controls, which are obeyed inside
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

/** Bytes of an incomplete UTF-8 character at the end. */
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
