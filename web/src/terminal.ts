/** Ties a terminal to a session, and says in the terminal how the session ended. */

import type { Terminal as BrowserTerminal } from "@xterm/xterm";
import { fromUnits } from "./bytes.ts";
import { Store, type Disposable } from "./lifecycle.ts";
import type { Session } from "./session.ts";

/** The part of xterm.js that this page uses; @xterm/headless has this part, too. */
export type Terminal = Pick<BrowserTerminal, "cols" | "rows" | "onData" | "onBinary" | "onResize" | "buffer"> & {
  write(data: string | Uint8Array, callback?: () => void): void;
};

/** Pattern of a terminal's answer to a program's question: attributes, positions, modes, colours. */
export const REPLY = /^\x1b(\[[?>=]?[\d;]*\$?[cnRy]|[P\]])/;
/** Milliseconds for which a program sees a terminal that is a row lower. */
const NUDGE = 100;

export interface Binding extends Disposable {
  /** True while the terminal's own answers are dropped: replayed questions were answered before. */
  replaying: boolean;
}

/** Sends the terminal's keys and sizes to the session until the result is disposed of. The caller writes the output.
 * Each key passes through `typed`, which returns what is sent.
 */
export function bind(terminal: Terminal, session: Session, typed: (text: string) => string = (text) => text): Binding {
  const store = new Store();
  const binding = { replaying: false, dispose: () => store.dispose() };
  session.resize({ columns: terminal.cols, rows: terminal.rows });
  store.add(terminal.onData((text) => {
    if (!REPLY.test(text)) session.write(typed(text));
    else if (!binding.replaying) session.write(text);
  }));
  store.add(terminal.onBinary((text) => session.write(fromUnits(text))));
  store.add(terminal.onResize(({ cols, rows }) => session.resize({ columns: cols, rows })));
  return binding;
}

/** Makes a full-screen program draw everything anew, by sending a smaller size and, after NUDGE, the right size. */
export function nudge(terminal: Terminal, session: Session): Disposable {
  session.resize({ columns: terminal.cols, rows: Math.max(1, terminal.rows - 1) });
  const timer = setTimeout(() => session.resize({ columns: terminal.cols, rows: terminal.rows }), NUDGE);
  return { dispose: () => clearTimeout(timer) };
}

/** A program may have gone without tidying up: CAN and ST end a cut sequence, DECSTR resets the modes, the
 * rest ends mouse reports and the alternate screen's neighbours that DECSTR leaves alone. */
export const TIDY = "\x18\x1b\\\x1b[!p\x1b[?9l\x1b[?1000l\x1b[?1002l\x1b[?1003l\x1b[?1006l\x1b[?2026l\x1b[?25h\x1b[0m\x1b(B";
const LEAVE_ALTERNATE = "\x1b[?1049l";

/** Writes `lines` below the output, in the normal screen, then calls `done`. Text from outside has to be escaped. */
export function say(terminal: Terminal, lines: readonly string[], done?: () => void): void {
  terminal.write(TIDY, () => {
    const leave = terminal.buffer.active.type === "alternate" ? LEAVE_ALTERNATE : "";
    terminal.write(leave, () => {
      const below = terminal.buffer.active.cursorX > 0 ? "\r\n" : "";
      terminal.write(below + lines.map((line) => `\x1b[90m${line}\x1b[0m\r\n`).join(""), done);
    });
  });
}
