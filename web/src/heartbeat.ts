/** Detects that the gateway is gone. A browser neither shows WebSocket's own pings nor sends any, and a dead connection
 * looks like a quiet connection; so the page sends a ping of its own after a while without a message.
 */

import type { Disposable } from "./lifecycle.ts";

/** Milliseconds between two checks of the clock. */
const TICK = 1000;
/** Milliseconds from one ping to the next: also while messages come, since an answer shows how long the way is. */
const PAUSE = 10_000;
/** Milliseconds that the answer to a ping may take. */
const ANSWER = 8000;

export class Heartbeat implements Disposable {
  readonly #ask: () => void;
  readonly #silent: () => void;
  readonly #measured: (milliseconds: number) => void;
  #timer: ReturnType<typeof setInterval> | undefined;
  #asked: number | undefined;
  #looked = 0;
  #last = 0;
  /** When the last ping was sent, by a clock that nobody sets. */
  #pinged = 0;

  /** `measured` hears how many milliseconds an answer to a ping took. */
  constructor(ask: () => void, silent: () => void, measured: (milliseconds: number) => void = () => {}) {
    this.#ask = ask;
    this.#silent = silent;
    this.#measured = measured;
  }

  /** Starts the checks of a new connection, with a ping at once. */
  start(): void {
    this.stop();
    this.#looked = Date.now();
    this.#timer = setInterval(() => this.#look(), TICK);
    this.check();
  }

  /** Records that a message was received, which answers a ping, too. */
  heard(): void {
    this.#asked = undefined;
  }

  /** Records that the answer to a ping was received. */
  answered(): void {
    this.#measured(performance.now() - this.#pinged);
  }

  /** Sends a ping at once, if checks are running: the network has changed, or the computer has slept. */
  check(): void {
    if (this.#timer === undefined) return;
    this.#asked = this.#last = Date.now();
    this.#pinged = performance.now();
    this.#ask();
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
    this.#asked = undefined;
  }

  dispose(): void {
    this.stop();
  }

  #look(): void {
    const now = Date.now();
    const slept = now - this.#looked > 5 * TICK; // or a hidden tab, whose timers are rare
    this.#looked = now;
    if (this.#asked === undefined || slept) {
      if (slept || now - this.#last >= PAUSE) this.check();
    } else if (now - this.#asked >= ANSWER) {
      this.stop();
      this.#silent();
    }
  }
}
