/** Ties a terminal to a session, and says in the terminal how the session ended. */

import type { Terminal as BrowserTerminal } from "@xterm/xterm";
import { Store, type Disposable } from "./lifecycle.ts";
import { toBytes } from "./protocol/utf8.ts";
import type { ExecSession } from "./session.ts";

/** What is used of xterm.js; @xterm/headless has it too. */
export type Terminal = Pick<BrowserTerminal, "cols" | "rows" | "onData" | "onBinary" | "onResize" | "buffer"> & {
  write(data: string | Uint8Array, callback?: () => void): void;
};

/** Keys and sizes go to the session until the result is disposed of. The session's output is the caller's. */
export function bind(terminal: Terminal, session: ExecSession): Disposable {
  const store = new Store();
  session.resize({ columns: terminal.cols, rows: terminal.rows });
  store.add(terminal.onData((text) => session.write(toBytes(text))));
  store.add(terminal.onBinary((text) => session.write(latin1(text))));
  store.add(terminal.onResize(({ cols, rows }) => session.resize({ columns: cols, rows })));
  return store;
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

/** Mouse reports of old protocols are bytes, one in each UTF-16 unit. */
function latin1(text: string): Uint8Array {
  return Uint8Array.from(text, (unit) => unit.charCodeAt(0) & 0xff);
}
