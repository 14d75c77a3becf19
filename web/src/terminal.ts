/** Ties a terminal to a session, and says in the terminal how the session ended. */

import type { Terminal as BrowserTerminal } from "@xterm/xterm";
import { fromUnits } from "./bytes.ts";
import { Store, type Disposable } from "./lifecycle.ts";
import type { Session } from "./session.ts";

/** What is used of xterm.js; @xterm/headless has it too. */
export type Terminal = Pick<BrowserTerminal, "cols" | "rows" | "onData" | "onBinary" | "onResize" | "buffer"> & {
  write(data: string | Uint8Array, callback?: () => void): void;
};

/** Answers to what a program asked a terminal: attributes, positions, modes, colours. */
export const REPLY = /^\x1b(\[[?>=]?[\d;]*\$?[cnRy]|[P\]])/;
/** Milliseconds for which a program gets to see a terminal that is a row lower. */
const NUDGE = 100;

export interface Binding extends Disposable {
  /** While true, the terminal's own answers go nowhere: the questions are from before, and were answered then. */
  replaying: boolean;
}

/** Keys and sizes go to the session until the result is disposed of. The session's output is the caller's. */
export function bind(terminal: Terminal, session: Session): Binding {
  const store = new Store();
  const binding = { replaying: false, dispose: () => store.dispose() };
  session.resize({ columns: terminal.cols, rows: terminal.rows });
  store.add(terminal.onData((text) => {
    if (!binding.replaying || !REPLY.test(text)) session.write(text);
  }));
  store.add(terminal.onBinary((text) => session.write(fromUnits(text))));
  store.add(terminal.onResize(({ cols, rows }) => session.resize({ columns: cols, rows })));
  return binding;
}

/** Has a full-screen program draw everything anew: it is told a smaller size, then the right one. */
export function nudge(terminal: Terminal, session: Session): Disposable {
  session.resize({ columns: terminal.cols, rows: Math.max(1, terminal.rows - 1) });
  const timer = setTimeout(() => session.resize({ columns: terminal.cols, rows: terminal.rows }), NUDGE);
  return { dispose: () => clearTimeout(timer) };
}

/** A program may have gone without tidying up: CAN and ST end a cut sequence, DECSTR resets the modes, the
 * rest ends mouse reports and the alternate screen's neighbours that DECSTR leaves alone. */
const TIDY = "\x18\x1b\\\x1b[!p\x1b[?9l\x1b[?1000l\x1b[?1002l\x1b[?1003l\x1b[?1006l\x1b[?2026l\x1b[?25h\x1b[0m\x1b(B";
const LEAVE_ALTERNATE = "\x1b[?1049l";

/** Writes lines of our own below what is there. They must hold no control characters from outside. */
export function say(terminal: Terminal, lines: readonly string[], done?: () => void): void {
  terminal.write(TIDY, () => {
    const leave = terminal.buffer.active.type === "alternate" ? LEAVE_ALTERNATE : "";
    terminal.write(leave, () => {
      const below = terminal.buffer.active.cursorX > 0 ? "\r\n" : "";
      terminal.write(below + lines.map((line) => `\x1b[90m${line}\x1b[0m\r\n`).join(""), done);
    });
  });
}
