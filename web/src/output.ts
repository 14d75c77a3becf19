/** Output on its way onto the screen. xterm.js drops, unsaid, what is written faster than it draws; so this hands
 * over a little at a time, keeps the rest, and knows what is drawn.
 */

import { INTERRUPT } from "./input.ts";
import type { Disposable } from "./lifecycle.ts";
import { toBytes } from "./protocol/utf8.ts";
import { megabytes } from "./words.ts";

/** Bytes handed to the screen and not yet drawn: nothing stops those. */
const AHEAD = 16 * 1024;
/** Bytes written at once: xterm.js lets the browser draw and take keys between two writes only. */
const PIECE = 4096;
/** Bytes kept of a session without acknowledgements, which a page cannot make wait. Beyond it the oldest go,
 * behind a line that says so. */
const KEPT = 64 * 1024 * 1024;
/** Bytes that wait, from where on Ctrl-C drops them. */
const FLOOD = 64 * 1024;
/** Bytes of them that it leaves: a prompt is among them. */
const TAIL = 4096;
/** Milliseconds after Ctrl-C in which that goes on. */
const QUIET = 1000;
/** Milliseconds without a flood after which the rest is drawn. */
const CALM = 50;
/** Bytes of the last output to look for an unfinished escape sequence in. */
const LAST = 4096;

/** CAN ends an escape sequence, and a character, that was cut; SGR 0 its colours. */
const CUT = "\x18\x1b[0m";

export interface Sink {
  readonly buffer: { readonly active: { readonly cursorX: number } };
  write(data: Uint8Array, drawn: () => void): void;
}

export interface Hooks {
  /** Everything before `offset` is on the screen. */
  drawn?(offset: number): void;
  /** The screen has a line that says what is left out. */
  gapped?(): void;
}

/** Of `bytes` of the session's output there is `data`, or nothing but the number. */
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
  #last: Uint8Array[] = [];
  #whenDrawn: (() => void) | undefined;
  #quietUntil = 0;
  #calm: ReturnType<typeof setTimeout> | undefined;

  constructor(sink: Sink, offset = 0, hooks: Hooks = {}, kept = KEPT) {
    this.#sink = sink;
    this.#offset = offset;
    this.#hooks = hooks;
    this.#kept = kept;
  }

  /** Everything before it is on the screen, or was dropped. */
  get offset(): number {
    return this.#offset;
  }

  /** The last bytes drawn, at least LAST of them if there were so many. */
  get last(): readonly Uint8Array[] {
    return this.#last;
  }

  push(data: Uint8Array): void {
    this.#waiting.push({ data, bytes: data.length });
    this.#bytes += data.length;
    if (this.#bytes > this.#kept) this.#drop(this.#kept);
    this.#skip();
    this.#draw();
  }

  /** So many bytes are missing here; a line will say so. */
  gap(bytes: number): void {
    if (this.#calm) {
      this.#drop(0);
      this.#dropped += bytes; // one line for both
    } else {
      this.#waiting.push({ data: undefined, bytes });
    }
    this.#draw();
  }

  /** What a person types. After Ctrl-C alone only the end is wanted of a flood that waits, or comes within a second. */
  typed(text: string): void {
    this.#quietUntil = text === INTERRUPT ? performance.now() + QUIET : 0;
    this.#skip();
  }

  /** Calls once, as soon as everything pushed so far is on the screen. */
  whenDrawn(callback: () => void): void {
    this.#whenDrawn = callback;
    this.#draw();
  }

  /** What waits is not drawn any more. */
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
    while (!this.#marking && !this.#calm && this.#drawing < AHEAD) {
      if (this.#dropped > 0) {
        const dropped = this.#dropped;
        this.#dropped = 0; // before: the next write after a key calls back at once
        this.#mark(dropped);
        continue;
      }
      const item = this.#shift(PIECE);
      if (!item) return this.#drawn();
      const { data, bytes } = item;
      if (data) this.#write(data, bytes, () => this.#remember(data));
      else this.#mark(bytes);
    }
  }

  /** Advances by `bytes` once `data` is drawn. */
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

  /** A line of its own, once it is known where the cursor stands. */
  #mark(bytes: number): void {
    this.#marking = true;
    this.#write(toBytes(CUT), 0, () => {
      this.#marking = false;
      this.#last = [];
      const below = this.#sink.buffer.active.cursorX > 0 ? "\r\n" : "";
      const words = ` ${megabytes(bytes)} of output are left out here `;
      this.#write(toBytes(`${below}\x1b[90;7m${words}\x1b[0m\r\n`), bytes, () => this.#hooks.gapped?.());
    });
  }

  #remember(data: Uint8Array): void {
    this.#last.push(data);
    let rest = this.#last.reduce((sum, each) => sum + each.length, 0);
    for (let first = this.#last[0]; first && rest - first.length >= LAST; first = this.#last[0]) {
      rest -= first.length;
      this.#last.shift();
    }
  }

  #drawn(): void {
    if (this.#drawing > 0) return;
    const callback = this.#whenDrawn;
    this.#whenDrawn = undefined;
    callback?.();
  }

  /** Draws nothing while a flood goes on, so that it leaves one line and not many. */
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

  /** Of what waits the oldest goes, until `rest` bytes are left. */
  #drop(rest: number): void {
    while (this.#bytes > rest) {
      const item = this.#shift(this.#bytes - rest);
      if (!item) return;
      this.#dropped += item.bytes;
    }
  }

  /** The first that waits; of output at most `most` bytes. */
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
