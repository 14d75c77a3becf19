/** Holds input that waits to be sent: a paste stays text, and becomes bytes only as the bytes are sent. */

import { toBytesInto } from "./protocol/utf8.ts";

const PASTE_BEGIN = "\x1b[200~";
const PASTE_END = "\x1b[201~";

/** A piece of waiting input, text or bytes, that is sent from its front. */
export class Piece {
  readonly #whole: string | Uint8Array;
  #taken = 0;

  constructor(whole: string | Uint8Array) {
    this.#whole = whole;
  }

  /** Counts what is left of the piece: UTF-16 units of text, or bytes. */
  get left(): number {
    return this.#whole.length - this.#taken;
  }

  /** Returns the text that is left; empty if the piece is bytes. */
  get rest(): string {
    return typeof this.#whole === "string" ? this.#whole.slice(this.#taken) : "";
  }

  /** Takes at most `most` bytes from the front, in whole characters; empty if the first character is longer. */
  take(most: number): Uint8Array {
    if (typeof this.#whole === "string") return this.#encode(this.#whole, Math.max(0, most));
    const data = this.#whole.subarray(this.#taken, this.#taken + Math.max(0, most));
    this.#taken += data.length;
    return data;
  }

  /** Returns the end mark, or its missing rest, that a bracketed paste needs if it is cut off now; otherwise empty. */
  get debt(): string {
    if (typeof this.#whole !== "string" || this.#taken === 0 || this.left === 0) return "";
    if (!this.#whole.startsWith(PASTE_BEGIN) || !this.#whole.endsWith(PASTE_END)) return "";
    return this.#whole.slice(Math.max(this.#taken, this.#whole.length - PASTE_END.length));
  }

  #encode(text: string, most: number): Uint8Array {
    let end = Math.min(text.length, this.#taken + most);
    if (end < text.length && isHighSurrogate(text, end - 1)) end -= 1; // the other half is behind the cut
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
