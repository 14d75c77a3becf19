/** Tells the gateway what the screen has drawn: soon, but never a message for each write. */

import type { Disposable } from "./lifecycle.ts";

/** Milliseconds until the gateway hears of a little that was drawn. */
const SOON = 50;
/** Bytes after which it hears at once; a quarter of the window where that is less. */
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

  /** On a new connection, whose gateway knows of everything before `offset`. */
  start(offset: number, window: number): void {
    this.stop();
    this.#batch = Math.max(1, Math.min(BATCH, window / 4));
    this.#told = offset;
    this.drawn(this.#drawn);
  }

  /** Everything before `offset` is on the screen. */
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
