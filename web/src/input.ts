/** Keys and pastes on their way into the socket, in order, at most LIMIT bytes of them inside it. */

import { CHUNK, encode } from "./protocol/codec.ts";

/** Bytes that may wait inside the socket: small enough that Ctrl-C is not behind much. */
const LIMIT = 1024 * 1024;
/** Milliseconds between looks at a full socket, which has no event for having become emptier. */
const LOOK_AGAIN = 10;
const PASTE_BEGIN = Uint8Array.of(0x1b, 0x5b, 0x32, 0x30, 0x30, 0x7e);
const PASTE_END_LENGTH = 6;

export interface Outlet {
  send(payload: Uint8Array<ArrayBuffer>): void;
  /** Bytes that were given to `send` and have not left yet. */
  waiting(): number;
}

export class InputQueue {
  readonly #outlet: Outlet;
  readonly #entries: Uint8Array[] = [];
  /** Bytes of the first entry that are sent. */
  #sent = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #open = false;

  constructor(outlet: Outlet) {
    this.#outlet = outlet;
  }

  /** Before `open` everything is kept. */
  open(): void {
    this.#open = true;
    this.#flush();
  }

  push(data: Uint8Array): void {
    if (data.length > 0) this.#entries.push(data);
    this.#flush();
  }

  /** Sends `data` in place of what is still queued. A bracketed paste cut short still gets its end mark. */
  pushInstead(data: Uint8Array): void {
    const cut = this.#entries[0];
    const mark = cut && this.#sent > 0 && startsWith(cut, PASTE_BEGIN) ? restOfMark(cut, this.#sent) : undefined;
    this.#clear();
    if (mark) this.#entries.push(mark);
    this.push(data);
  }

  /** True while something waits that the socket does not have yet. */
  get queued(): boolean {
    return this.#entries.length > 0;
  }

  close(): void {
    this.#open = false;
    this.#clear();
  }

  #clear(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#entries.length = 0;
    this.#sent = 0;
  }

  #flush(): void {
    if (!this.#open) return;
    for (let entry = this.#entries[0]; entry; entry = this.#entries[0]) {
      if (this.#outlet.waiting() + CHUNK >= LIMIT) {
        this.#timer ??= setTimeout(() => {
          this.#timer = undefined;
          this.#flush();
        }, LOOK_AGAIN);
        return;
      }
      const data = entry.subarray(this.#sent, this.#sent + CHUNK);
      this.#sent += data.length;
      if (this.#sent === entry.length) {
        this.#entries.shift();
        this.#sent = 0;
      }
      this.#outlet.send(encode({ type: "stdin", data }));
    }
  }
}

/** What is missing of the end mark: all of it, or the part of it that was not sent. */
function restOfMark(paste: Uint8Array, sent: number): Uint8Array {
  return paste.subarray(Math.max(sent, paste.length - PASTE_END_LENGTH));
}

function startsWith(data: Uint8Array, prefix: Uint8Array): boolean {
  return prefix.every((byte, index) => data[index] === byte);
}
