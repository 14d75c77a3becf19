/** Input that waits: a paste stays the text that it was, and becomes bytes only as it leaves. */

import { toBytesInto } from "./protocol/utf8.ts";

const PASTE_BEGIN = "\x1b[200~";
const PASTE_END = "\x1b[201~";

/** Text, or bytes, taken from its front. */
export class Piece {
  readonly #whole: string | Uint8Array;
  #taken = 0;

  constructor(whole: string | Uint8Array) {
    this.#whole = whole;
  }

  /** What is left, in UTF-16 units or bytes. */
  get left(): number {
    return this.#whole.length - this.#taken;
  }

  /** The text that is left; nothing of bytes. */
  get rest(): string {
    return typeof this.#whole === "string" ? this.#whole.slice(this.#taken) : "";
  }

  /** At most `most` bytes, no character split; empty where not even one character fits. */
  take(most: number): Uint8Array {
    if (typeof this.#whole === "string") return this.#encode(this.#whole, Math.max(0, most));
    const data = this.#whole.subarray(this.#taken, this.#taken + Math.max(0, most));
    this.#taken += data.length;
    return data;
  }

  /** What a bracketed paste still owes when it is cut off here: its end mark, or what is missing of that. */
  get debt(): string {
    if (typeof this.#whole !== "string" || this.#taken === 0 || this.left === 0) return "";
    if (!this.#whole.startsWith(PASTE_BEGIN) || !this.#whole.endsWith(PASTE_END)) return "";
    return this.#whole.slice(Math.max(this.#taken, this.#whole.length - PASTE_END.length));
  }

  #encode(text: string, most: number): Uint8Array {
    let end = Math.min(text.length, this.#taken + most);
    if (end < text.length && isHighSurrogate(text, end - 1)) end -= 1; // its other half stands behind the cut
    const into = new Uint8Array(most);
    const { read, written } = toBytesInto(text.slice(this.#taken, end), into);
    this.#taken += read;
    return into.subarray(0, written);
  }
}

function isHighSurrogate(text: string, index: number): boolean {
  const unit = text.charCodeAt(index);
  return unit >= 0xd800 && unit < 0xdc00;
}
