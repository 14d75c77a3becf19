/** Sends keys and pastes to the command, in order and as far as credit allows. Keeps sent input until the input is
 * acknowledged, so that a new connection can send the input again; input beyond the credit waits here.
 */

import { join } from "./bytes.ts";
import type { Disposable } from "./lifecycle.ts";
import { Piece } from "./paste_queue.ts";
import { CHUNK, encode } from "./protocol/codec.ts";

/** Ctrl-C, Ctrl-Z and Ctrl-\\: the keys for which a terminal drops earlier input, and its output. */
const FLUSHING = ["\x03", "\x1a", "\x1c"];
/** Returns true if `text` is one of the keys for which a terminal drops its output. */
export const flushes = (text: string): boolean => FLUSHING.includes(text);
/** Bytes that may wait inside the socket: few enough that Ctrl-C is sent soon. */
const LIMIT = 1024 * 1024;
/** Milliseconds between looks at a full socket, which has no event for having become emptier. */
const LOOK_AGAIN = 10;
/** Bytes of the credit, at most a quarter of the window, that a paste leaves over for Ctrl-C. */
const RESERVE = 1024;
/** UTF-16 units of waiting input of which a person should know. */
const LONG = 1024 * 1024;
/** UTF-16 units of input that may wait. A longer paste is refused as a whole. */
export const MOST = 128 * 1024 * 1024;

export interface Outlet {
  send(payload: Uint8Array<ArrayBuffer>): void;
  /** Counts the bytes that were given to `send` and still wait in the socket. */
  waiting(): number;
}

/** Credit for input: the gateway has the input up to `received`, and `window` bytes beyond may be on their way. */
export interface Credit {
  readonly received: number;
  readonly window: number;
}

/** Input that a page keeps across a reload. */
export interface InputState {
  /** Offset of the first byte of `sent`. */
  readonly received: number;
  /** Bytes that were sent and are still unacknowledged. */
  readonly sent: Uint8Array;
  readonly waiting: string;
}

export class InputQueue implements Disposable {
  #outlet: Outlet | undefined;
  readonly #waiting: Piece[] = [];
  /** True if the first waiting piece may use the reserve, too. */
  #urgent = false;
  /** Bytes that were sent and are still unacknowledged, from the offset #safe on. */
  #unacknowledged: Uint8Array[] = [];
  /** Offset before which all input is safe, whatever becomes of the gateway. */
  #safe = 0;
  /** Offset before which the gateway of this connection has all input, and where the window begins. */
  #taken = 0;
  #sent = 0;
  /** Bytes that may be on their way; Infinity if the gateway acknowledges nothing, and then no sent input is kept. */
  #window = Infinity;
  #reserve = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;

  /** Sends what an earlier connection failed to deliver, then what waits; before `open`, all input waits. Delivered
   * input is kept until acknowledged all the same: another gateway may take this gateway's place, and have less.
   */
  open(outlet: Outlet, credit?: Credit): void {
    this.#outlet = outlet;
    this.#window = credit?.window ?? Infinity;
    this.#reserve = Math.min(RESERVE, this.#window / 4);
    const { received } = credit ?? { received: 0 };
    this.#taken = received;
    if (received > this.#sent || received < this.#safe) this.#forget(received); // another client has typed meanwhile
    for (const data of this.#from(received)) outlet.send(encode({ type: "stdin", data }));
    this.#flush();
  }

  /** Stops sending, because the connection is lost; all input is kept. */
  close(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#outlet = undefined;
  }

  /** Records that the gateway has all input up to `offset`, and sends what waits. */
  acknowledge(offset: number): void {
    if (offset > this.#safe) this.#forget(offset);
    this.#flush();
  }

  /** Takes `data`, and sends what credit allows; false, with nothing taken, if too much would wait. A key that `flushes`
   * alone takes the place of the waiting input.
   */
  push(data: string | Uint8Array): boolean {
    if (typeof data === "string" && flushes(data) && this.held > 0) {
      this.#cut(data);
      return true;
    }
    if (this.held + data.length > MOST) return false;
    if (data.length > 0) this.#waiting.push(new Piece(data));
    this.#flush();
    return true;
  }

  /** Drops the waiting input. A bracketed paste that is cut short still gets its end mark. */
  drop(): void {
    this.#cut("");
  }

  /** Counts the waiting input in UTF-16 units, which a person may read as bytes. */
  get held(): number {
    return this.#waiting.reduce((sum, piece) => sum + piece.left, 0);
  }

  /** True while so much input waits that a person should know. */
  get isLong(): boolean {
    return this.held > LONG;
  }

  /** Returns the input that a reload keeps: all unacknowledged input, and what waits if short; a long paste is cut. */
  get state(): InputState {
    const short = this.held <= CHUNK;
    const waiting = short ? this.#waiting.map((piece) => piece.rest).join("") : (this.#waiting[0]?.debt ?? "");
    return { received: this.#safe, sent: join(this.#unacknowledged), waiting };
  }

  /** Restores the input of an earlier page; has to be called before `open`. */
  restore({ received, sent, waiting }: InputState): void {
    this.#unacknowledged = sent.length > 0 ? [sent] : [];
    this.#safe = received;
    this.#sent = received + sent.length;
    this.push(waiting);
  }

  dispose(): void {
    this.close();
    this.#waiting.length = 0;
    this.#unacknowledged = [];
  }

  #cut(instead: string): void {
    const first = this.#waiting[0];
    const owed = (this.#urgent ? first?.rest : first?.debt) ?? "";
    this.#waiting.length = 0;
    this.#urgent = owed + instead !== "";
    if (this.#urgent) this.#waiting.push(new Piece(owed + instead));
    this.#flush();
  }

  /** Drops the kept input before `offset`, which is safe. */
  #forget(offset: number): void {
    this.#unacknowledged = this.#from(offset);
    this.#safe = offset;
    this.#sent = offset + this.#unacknowledged.reduce((sum, data) => sum + data.length, 0);
  }

  /** Returns the unacknowledged input from `offset` on. */
  #from(offset: number): Uint8Array[] {
    let position = this.#safe;
    return this.#unacknowledged.flatMap((data) => {
      const known = Math.min(data.length, Math.max(0, offset - position));
      position += data.length;
      return known < data.length ? [data.subarray(known)] : [];
    });
  }

  #flush(): void {
    const outlet = this.#outlet;
    for (let piece = this.#waiting[0]; outlet && piece; piece = this.#waiting[0]) {
      if (outlet.waiting() + CHUNK >= LIMIT) return this.#lookAgain();
      const end = Math.max(this.#safe, this.#taken) + this.#window;
      const credit = end - this.#sent - (this.#urgent ? 0 : this.#reserve);
      const data = piece.take(Math.min(CHUNK, credit));
      if (data.length === 0) return; // waits until more is acknowledged
      if (piece.left === 0) {
        this.#waiting.shift();
        this.#urgent = false;
      }
      if (this.#window < Infinity) {
        this.#unacknowledged.push(data);
        this.#sent += data.length;
      }
      outlet.send(encode({ type: "stdin", data }));
    }
  }

  #lookAgain(): void {
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      this.#flush();
    }, LOOK_AGAIN);
  }
}
