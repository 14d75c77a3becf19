/** Whether the gateway is still there. A browser neither shows WebSocket's own pings nor sends any, and a connection
 * whose other end is gone looks like a quiet one; so a page asks, when it has heard nothing for a while.
 */

import type { Disposable } from "./lifecycle.ts";

/** Milliseconds between looks. */
const TICK = 1000;
/** Milliseconds without a word before the page asks. */
const QUIET = 10_000;
/** Milliseconds that an answer may take. */
const ANSWER = 8000;

export class Heartbeat implements Disposable {
  readonly #ask: () => void;
  readonly #silent: () => void;
  #timer: ReturnType<typeof setInterval> | undefined;
  #heard = 0;
  #asked: number | undefined;
  #looked = 0;

  constructor(ask: () => void, silent: () => void) {
    this.#ask = ask;
    this.#silent = silent;
  }

  /** On a new connection. */
  start(): void {
    this.stop();
    this.#heard = this.#looked = Date.now();
    this.#timer = setInterval(() => this.#look(), TICK);
    this.check();
  }

  /** Something came. */
  heard(): void {
    this.#heard = Date.now();
    this.#asked = undefined;
  }

  /** Asks now: the network has changed, or the computer has slept. */
  check(): void {
    if (this.#timer === undefined) return;
    this.#asked = Date.now();
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
      if (slept || now - this.#heard >= QUIET) this.check();
    } else if (now - this.#asked >= ANSWER) {
      this.stop();
      this.#silent();
    }
  }
}
