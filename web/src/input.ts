/** Keys and pastes on their way to the command, in order and with credit: what was sent is kept until the gateway
 * has it safely, so that a new connection can send it again, and what has no credit waits here.
 */

import { join } from "./bytes.ts";
import type { Disposable } from "./lifecycle.ts";
import { Piece } from "./paste_queue.ts";
import { CHUNK, encode } from "./protocol/codec.ts";

export const INTERRUPT = "\x03";
/** Bytes that may wait inside the socket: small enough that Ctrl-C is not behind much. */
const LIMIT = 1024 * 1024;
/** Milliseconds between looks at a full socket, which has no event for having become emptier. */
const LOOK_AGAIN = 10;
/** Bytes of the credit, at most a quarter of it, that a paste leaves over, so that Ctrl-C can still go. */
const RESERVE = 1024;
/** UTF-16 units that may wait. A longer paste is refused as a whole. */
export const MOST = 128 * 1024 * 1024;

export interface Outlet {
  send(payload: Uint8Array<ArrayBuffer>): void;
  /** Bytes that were given to `send` and have not left yet. */
  waiting(): number;
}

/** Input up to `received` has been taken, and `window` bytes beyond it may be under way. */
export interface Credit {
  readonly received: number;
  readonly window: number;
}

/** What a page keeps of its input while it is loaded anew. */
export interface InputState {
  /** The offset of the first byte of `sent`. */
  readonly received: number;
  /** What may or may not have arrived. */
  readonly sent: Uint8Array;
  readonly waiting: string;
}

export class InputQueue implements Disposable {
  #outlet: Outlet | undefined;
  readonly #waiting: Piece[] = [];
  /** The first of them goes on the reserve, too. */
  #urgent = false;
  /** Sent and not acknowledged. The first byte of it has the offset #safe. */
  #unacknowledged: Uint8Array[] = [];
  /** The gateway has everything before it, whatever becomes of the gateway. */
  #safe = 0;
  /** This connection's gateway has everything before it, and the window begins there. */
  #taken = 0;
  #sent = 0;
  /** Infinite where nothing is acknowledged; then nothing is kept either. */
  #window = Infinity;
  #reserve = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;

  /** Before `open` everything waits. What an earlier connection did not get across is sent again. What it did is
   * kept all the same until it is acknowledged: another gateway may take this one's place, and have less.
   */
  open(outlet: Outlet, credit?: Credit): void {
    this.#outlet = outlet;
    this.#window = credit?.window ?? Infinity;
    this.#reserve = Math.min(RESERVE, this.#window / 4);
    const { received } = credit ?? { received: 0 };
    this.#taken = received;
    if (received > this.#sent || received < this.#safe) this.#forget(received); // somebody else has typed meanwhile
    for (const data of this.#from(received)) outlet.send(encode({ type: "stdin", data }));
    this.#flush();
  }

  /** The connection is lost; everything is kept. */
  close(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#outlet = undefined;
  }

  /** The gateway has everything up to `offset`. */
  acknowledge(offset: number): void {
    if (offset > this.#safe) this.#forget(offset);
    this.#flush();
  }

  /** False, and nothing is taken, where too much would wait. Ctrl-C alone takes the place of what still waits. */
  push(data: string | Uint8Array): boolean {
    if (data === INTERRUPT && this.held > 0) {
      this.#cut(data);
      return true;
    }
    if (this.held + data.length > MOST) return false;
    if (data.length > 0) this.#waiting.push(new Piece(data));
    this.#flush();
    return true;
  }

  /** What waits is not sent any more. A bracketed paste that was cut short still gets its end mark. */
  drop(): void {
    this.#cut("");
  }

  /** What waits without having been sent, in UTF-16 units: as good as bytes for a person. */
  get held(): number {
    return this.#waiting.reduce((sum, piece) => sum + piece.left, 0);
  }

  /** Of what waits only a little is part of it: a paste is cut off. */
  get state(): InputState {
    const short = this.held <= CHUNK;
    const waiting = short ? this.#waiting.map((piece) => piece.rest).join("") : (this.#waiting[0]?.debt ?? "");
    return { received: this.#safe, sent: join(this.#unacknowledged), waiting };
  }

  /** Before `open`. */
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

  /** Offsets below `offset` are safe. */
  #forget(offset: number): void {
    this.#unacknowledged = this.#from(offset);
    this.#safe = offset;
    this.#sent = offset + this.#unacknowledged.reduce((sum, data) => sum + data.length, 0);
  }

  /** What was sent and not acknowledged, from `offset` on. */
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
      if (data.length === 0) return; // until more is acknowledged
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
