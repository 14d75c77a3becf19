/** Output on its way onto the screen. A page cannot make its WebSocket wait, and xterm.js drops, unsaid,
 * what is written faster than it draws; so this hands over a little at a time and keeps the rest.
 */

import type { Disposable } from "./lifecycle.ts";

/** Bytes handed to the screen and not yet drawn. */
const AHEAD = 512 * 1024;
/** Bytes kept. Beyond it the oldest go, behind a line that says so. */
const KEPT = 64 * 1024 * 1024;

export interface Sink {
  write(data: Uint8Array | string, drawn: () => void): void;
}

export class OutputQueue implements Disposable {
  readonly #sink: Sink;
  readonly #kept: number;
  #waiting: Uint8Array[] = [];
  #first = 0;
  #bytes = 0;
  #drawing = 0;
  #dropped = 0;
  #whenDrawn: (() => void) | undefined;

  constructor(sink: Sink, kept = KEPT) {
    this.#sink = sink;
    this.#kept = kept;
  }

  push(data: Uint8Array): void {
    this.#waiting.push(data);
    this.#bytes += data.length;
    while (this.#bytes > this.#kept) this.#dropped += this.#shift()?.length ?? 0;
    this.#draw();
  }

  /** Calls once, as soon as everything pushed so far is on the screen. */
  whenDrawn(callback: () => void): void {
    this.#whenDrawn = callback;
    this.#draw();
  }

  /** What waits is not drawn any more. */
  dispose(): void {
    this.#waiting = [];
    this.#bytes = 0;
    this.#dropped = 0;
    this.#whenDrawn = undefined;
  }

  #draw(): void {
    while (this.#drawing < AHEAD) {
      if (this.#dropped > 0) this.#mark();
      const data = this.#shift();
      if (!data) return this.#drawn();
      this.#drawing += data.length;
      this.#sink.write(data, () => {
        this.#drawing -= data.length;
        this.#draw();
      });
    }
  }

  #drawn(): void {
    if (this.#drawing > 0) return;
    const callback = this.#whenDrawn;
    this.#whenDrawn = undefined;
    callback?.();
  }

  /** CAN ends an escape sequence that was cut, SGR 0 its colours. */
  #mark(): void {
    const mib = (this.#dropped / 1024 / 1024).toFixed(1);
    this.#dropped = 0;
    this.#sink.write(`\x18\x1b[0m\r\n[${mib} MiB of output came too fast and is not shown]\r\n`, () => {});
  }

  #shift(): Uint8Array | undefined {
    const data = this.#waiting[this.#first];
    if (!data) return undefined;
    this.#first += 1;
    this.#bytes -= data.length;
    if (this.#first > 1024) {
      this.#waiting = this.#waiting.slice(this.#first);
      this.#first = 0;
    }
    return data;
  }
}
