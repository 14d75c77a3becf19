/** Acknowledges the output that the screen has drawn: soon, and with one message for many writes. */

import type { Disposable } from "./lifecycle.ts";

/** Milliseconds until a little drawn output is acknowledged. */
const SOON = 50;
/** Bytes of drawn output that are acknowledged at once; at most a quarter of the window. */
const BATCH = 64 * 1024;

export class Acknowledger implements Disposable {
  readonly #tell: (offset: number) => void;
  #drawn = 0;
  #told = 0;
  #batch = BATCH;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(tell: (offset: number) => void) {
    this.#tell = tell;
  }

  /** Starts on a new connection, whose gateway knows all before `offset`, and acknowledges what is drawn beyond. */
  start(offset: number, window: number): void {
    this.stop();
    this.#batch = Math.max(1, Math.min(BATCH, window / 4));
    this.#told = offset;
    this.drawn(this.#drawn);
  }

  /** Records that everything before `offset` is on the screen; between `start` and `stop`, acknowledges `offset`. */
  drawn(offset: number): void {
    this.#drawn = offset;
    if (this.#drawn - this.#told >= this.#batch) this.#flush();
    else if (this.#drawn > this.#told) this.#timer ??= setTimeout(() => this.#flush(), SOON);
  }

  stop(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#told = Infinity;
  }

  dispose(): void {
    this.stop();
  }

  #flush(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#told = this.#drawn;
    this.#tell(this.#drawn);
  }
}
