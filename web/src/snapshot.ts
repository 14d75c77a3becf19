/** Copies the screen for a reload of the page, and draws the copy again: text with escape sequences, and a little that
 * the serializer of xterm.js leaves out.
 */

import type { SerializeAddon } from "@xterm/addon-serialize";
import type { Terminal } from "@xterm/xterm";
import { fromUnits, join, toUnits } from "./bytes.ts";
import { Store, type Disposable } from "./lifecycle.ts";
import { partialSequence } from "./partial_sequence.ts";

export interface Snapshot {
  readonly columns: number;
  readonly rows: number;
  readonly text: string;
  /** Unfinished sequence at the end of the output, a UTF-16 unit for each byte. */
  readonly open: string;
  /** Offset of the session's output up to which the copy goes. */
  readonly offset: number;
  /** True if a full-screen program has the screen. */
  readonly alternate: boolean;
}

/** The offset up to which a session's output is drawn, and the last bytes drawn. */
export interface Drawn {
  readonly offset: number;
  readonly last: readonly Uint8Array[];
}

/** Lines above the screen that the copy keeps; the first number whose copy is small enough counts. */
const LINES = [1000, 200, 0];
/** UTF-16 units of the largest copy. A browser gives a page 5 Mi units in all. */
const LARGEST = 1024 * 1024;

/** Bytes of the last output that are searched for an unfinished sequence. */
const LAST = 4096;
/** DEC private modes that the serializer leaves out: the encodings of mouse reports. */
const MODES: readonly number[] = [1005, 1006, 1015, 1016];

/** Watches, from now on, what a program sets and the serializer leaves out: modes, margins, a hidden cursor. */
export class Unserialized implements Disposable {
  readonly #store = new Store();
  readonly #set = new Set<number>();
  #hidden = false;
  #margins = "";

  constructor({ parser }: Pick<Terminal, "parser">) {
    const modes = (on: boolean) => (params: (number | number[])[]): boolean => {
      for (const mode of params) this.#mode(mode, on);
      return false; // the terminal's own handler goes on
    };
    this.#store.add(parser.registerCsiHandler({ prefix: "?", final: "h" }, modes(true)));
    this.#store.add(parser.registerCsiHandler({ prefix: "?", final: "l" }, modes(false)));
    this.#store.add(parser.registerCsiHandler({ final: "r" }, (params) => this.#region(params)));
    this.#store.add(parser.registerCsiHandler({ intermediates: "!", final: "p" }, () => this.#reset()));
    this.#store.add(parser.registerEscHandler({ final: "c" }, () => this.#reset()));
  }

  /** Returns the sequences that set the same modes, margins and cursor again. */
  get text(): string {
    const modes = [...this.#set].map((mode) => `\x1b[?${mode}h`).join("");
    const margins = this.#margins && `\x1b7\x1b[${this.#margins}r\x1b8`; // DECSTBM moves the cursor
    return modes + margins + (this.#hidden ? "\x1b[?25l" : "");
  }

  dispose(): void {
    this.#store.dispose();
  }

  #mode(mode: number | number[], on: boolean): void {
    if (mode === 25) this.#hidden = !on;
    if (typeof mode !== "number" || !MODES.includes(mode)) return;
    if (on) this.#set.add(mode);
    else this.#set.delete(mode);
  }

  #region([top, bottom]: (number | number[])[]): boolean {
    this.#margins = top || bottom ? `${String(top || 1)};${String(bottom || "")}` : "";
    return false;
  }

  #reset(): boolean {
    this.#set.clear();
    this.#hidden = false;
    this.#margins = "";
    return false;
  }
}

/** Returns a copy of the screen, where `last` ends with the last output drawn; undefined if the copy is too large. */
export function take(
  terminal: Pick<Terminal, "cols" | "rows" | "buffer">,
  serializer: Pick<SerializeAddon, "serialize">,
  rest: Unserialized,
  { offset, last }: Drawn,
): Snapshot | undefined {
  const alternate = terminal.buffer.active.type === "alternate";
  const open = toUnits(partialSequence(join(last).subarray(-LAST)));
  for (const scrollback of LINES) {
    const text = serializer.serialize({ scrollback }) + rest.text;
    if (text.length > LARGEST) continue;
    return { columns: terminal.cols, rows: terminal.rows, text, open, offset, alternate };
  }
  return undefined;
}

/** Draws a copy on a new terminal, which takes the copy's size, then calls `drawn`. */
export function restore(
  terminal: Pick<Terminal, "resize"> & { write(data: string | Uint8Array, drawn?: () => void): void },
  { columns, rows, text, open }: Snapshot,
  drawn: () => void,
): void {
  terminal.resize(columns, rows);
  terminal.write(text);
  terminal.write(fromUnits(open), drawn);
}
