/** Writes output to the screen a little at a time, keeps the rest, and knows what is drawn: xterm.js silently drops
 * output that is written faster than xterm.js draws.
 */

import { flushes } from "./input.ts";
import { LastOutput } from "./last_output.ts";
import type { Disposable } from "./lifecycle.ts";
import { toBytes } from "./protocol/utf8.ts";
import { megabytes } from "./words.ts";

/** Bytes that may be handed to the screen before they are drawn: nothing drops these bytes any more. */
const AHEAD = 16 * 1024;
/** Bytes of one write: xterm.js lets the browser draw and take keys between two writes only. */
const PIECE = 4096;
/** Bytes that may wait: a page cannot slow down a session without acknowledgements. Beyond this number the oldest bytes
 * are dropped, and a line says so.
 */
const KEPT = 64 * 1024 * 1024;
/** Bytes of waiting output above which Ctrl-C and its like drop the output, and Ctrl-S holds the output. */
const FLOOD = 64 * 1024;
/** Bytes at the end of the waiting output that Ctrl-C leaves: the prompt is among these bytes. */
const TAIL = 4096;
/** Milliseconds after Ctrl-C, its like or Ctrl-S during which output belongs to the flood. */
const QUIET = 1000;
/** Milliseconds without output, after a flood was dropped, until the rest is drawn. */
const CALM = 50;

/** The key that holds a flood. */
const STOP = "\x13";

/** Sequence that ends a cut escape sequence or character (CAN), and resets the colours (SGR 0). */
const CUT = "\x18\x1b[0m";

export interface Sink {
  readonly buffer: { readonly active: { readonly cursorX: number } };
  write(data: Uint8Array, drawn: () => void): void;
}

export interface Hooks {
  /** Hears that everything before `offset` is on the screen. */
  drawn?(offset: number): void;
  /** Hears that the screen has a line about output that is left out. */
  gapped?(): void;
}

/** A part of the session's output, `bytes` long: its `data`, or undefined if the part is missing. */
interface Item {
  readonly data: Uint8Array | undefined;
  readonly bytes: number;
}

export class OutputQueue implements Disposable {
  readonly #sink: Sink;
  readonly #hooks: Hooks;
  readonly #kept: number;
  #waiting: Item[] = [];
  #first = 0;
  #bytes = 0;
  #drawing = 0;
  #marking = false;
  #dropped = 0;
  #offset: number;
  readonly #last = new LastOutput();
  #whenDrawn: (() => void) | undefined;
  readonly #drops: boolean;
  #quietUntil = 0;
  #stopUntil = 0;
  #stopped = false;
  #sinceStop = 0;
  #calm: ReturnType<typeof setTimeout> | undefined;

  /** `drops`: Ctrl-C and its like leave out a flood; not where they may be bytes of a transfer. */
  constructor(sink: Sink, offset = 0, hooks: Hooks = {}, { kept = KEPT, drops = true } = {}) {
    this.#sink = sink;
    this.#drops = drops;
    this.#offset = offset;
    this.#hooks = hooks;
    this.#kept = kept;
  }

  /** Returns the offset before which everything is on the screen, or was dropped. */
  get offset(): number {
    return this.#offset;
  }

  /** Returns the last bytes drawn since the last gap. */
  get last(): readonly Uint8Array[] {
    return this.#last.parts;
  }

  push(data: Uint8Array): void {
    this.#waiting.push({ data, bytes: data.length });
    this.#bytes += data.length;
    if (this.#bytes > this.#kept) this.#drop(this.#kept);
    this.#stop(data.length);
    this.#skip();
    this.#draw();
  }

  /** What comes from here on was written for a terminal with these modes. */
  modes(text: string): void {
    const data = toBytes(text);
    this.#waiting.push({ data, bytes: 0 });
    this.#bytes += data.length;
    this.#draw();
  }

  /** So many bytes are missing here; a line will say so. */
  gap(bytes: number): void {
    if (this.#calm) {
      this.#drop(0);
      this.#dropped += bytes; // one line for both gaps
    } else {
      this.#waiting.push({ data: undefined, bytes });
    }
    this.#draw();
  }

  /** Takes note of typed text: Ctrl-C and its like alone drop a flood that waits, or comes within a second, but for its
   * end; Ctrl-S alone holds such a flood until the next key.
   */
  typed(text: string): void {
    const soon = performance.now() + QUIET;
    this.#quietUntil = this.#drops && flushes(text) ? soon : 0;
    this.#stopUntil = text === STOP ? soon : 0;
    this.#sinceStop = 0;
    this.#stopped = text === STOP && this.#bytes > FLOOD;
    this.#skip();
    this.#draw();
  }

  /** Draws the waiting output, held or not: no key has to come any more. */
  goOn(): void {
    this.#stopped = false;
    this.#stopUntil = 0;
    this.#draw();
  }

  /** Calls `callback` once, as soon as everything pushed so far is on the screen. */
  whenDrawn(callback: () => void): void {
    this.#whenDrawn = callback;
    this.goOn();
  }

  /** Drops the output that waits to be drawn. */
  dispose(): void {
    clearTimeout(this.#calm);
    this.#calm = undefined;
    this.#waiting = [];
    this.#first = 0;
    this.#bytes = 0;
    this.#dropped = 0;
    this.#whenDrawn = undefined;
  }

  #draw(): void {
    while (!this.#marking && !this.#calm && !this.#stopped && this.#drawing < AHEAD) {
      if (this.#dropped > 0) {
        const dropped = this.#dropped;
        this.#dropped = 0; // before the write, which calls back at once if a key came before
        this.#mark(dropped);
        continue;
      }
      const item = this.#shift(PIECE);
      if (!item) return this.#drawn();
      const { data, bytes } = item;
      if (data) this.#write(data, bytes, () => this.#last.add(data));
      else this.#mark(bytes);
    }
  }

  /** Writes `data`, and advances the offset by `bytes` once `data` is drawn. */
  #write(data: Uint8Array, bytes: number, drawn: () => void): void {
    this.#drawing += data.length;
    this.#sink.write(data, () => {
      this.#drawing -= data.length;
      this.#offset += bytes;
      drawn();
      this.#hooks.drawn?.(this.#offset);
      this.#draw();
    });
  }

  /** Writes a line about `bytes` left out, once the column of the cursor is known. */
  #mark(bytes: number): void {
    this.#marking = true;
    this.#write(toBytes(CUT), 0, () => {
      this.#marking = false;
      this.#last.clear();
      const below = this.#sink.buffer.active.cursorX > 0 ? "\r\n" : "";
      const words = ` ${megabytes(bytes)} of output are left out here `;
      this.#write(toBytes(`${below}\x1b[90;7m${words}\x1b[0m\r\n`), bytes, () => this.#hooks.gapped?.());
    });
  }

  #drawn(): void {
    if (this.#drawing > 0) return;
    const callback = this.#whenDrawn;
    this.#whenDrawn = undefined;
    callback?.();
  }

  /** Holds the output if more than FLOOD bytes come within a second of Ctrl-S: these bytes were on their way then. */
  #stop(bytes: number): void {
    if (performance.now() >= this.#stopUntil) return;
    this.#sinceStop += bytes;
    if (this.#sinceStop > FLOOD) this.#stopped = true;
  }

  /** Drops a flood that follows Ctrl-C, and draws nothing until the flood is over, so that one line stands for all. */
  #skip(): void {
    if (performance.now() >= this.#quietUntil) return;
    if (this.#bytes > FLOOD) this.#drop(TAIL);
    else if (!this.#calm) return;
    clearTimeout(this.#calm);
    this.#calm = setTimeout(() => {
      this.#calm = undefined;
      this.#draw();
    }, CALM);
  }

  /** Drops the oldest waiting output, until `rest` bytes are left. */
  #drop(rest: number): void {
    while (this.#bytes > rest) {
      const item = this.#shift(this.#bytes - rest);
      if (!item) return;
      this.#dropped += item.bytes;
    }
  }

  /** Takes the first waiting item, of output at most `most` bytes; undefined if nothing waits. */
  #shift(most: number): Item | undefined {
    const item = this.#waiting[this.#first];
    if (!item) return undefined;
    const { data } = item;
    if (data && data.length > most) {
      const rest = data.subarray(most);
      this.#waiting[this.#first] = { data: rest, bytes: rest.length };
      this.#bytes -= most;
      return { data: data.subarray(0, most), bytes: most };
    }
    this.#first += 1;
    this.#bytes -= data?.length ?? 0;
    if (this.#first > 1024) {
      this.#waiting = this.#waiting.slice(this.#first);
      this.#first = 0;
    }
    return item;
  }
}
