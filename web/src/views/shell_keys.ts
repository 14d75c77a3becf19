/** Keeps from a running program the keys that the page takes for itself. */

import type { Terminal } from "@xterm/xterm";
import { clipboardKey, isPaletteKey, isSearch } from "../keys.ts";

export interface ShellKeys {
  /** True while the session has not ended. */
  readonly live: boolean;
  /** True while Enter opens a new session. */
  readonly invites: boolean;
  readonly search: { open(): void };
}

export function takeKeys(terminal: Terminal, keys: ShellKeys): void {
  terminal.attachCustomKeyEventHandler((event) => {
    if (isShortcut(event, keys)) return false;
    const clipboard = clipboardKey(event, terminal.hasSelection());
    if (clipboard === "copy") copy(terminal, event);
    if (clipboard) return false; // the browser pastes
    // An Enter held down since before the end opens nothing; Tab leads to the buttons once the session has ended
    if (event.key === "Tab") return keys.live;
    return !(keys.invites && event.key === "Enter" && event.repeat);
  });
}

function copy(terminal: Terminal, event: KeyboardEvent): void {
  event.preventDefault();
  if (event.type !== "keydown" || !terminal.hasSelection()) return;
  void navigator.clipboard?.writeText(terminal.getSelection()).catch(() => undefined);
  if (!event.shiftKey) terminal.clearSelection(); // the next Ctrl-C is the program's
}

/** Does what the page's own keys ask for: search, and a way out of the terminal for the keyboard. */
function isShortcut(event: KeyboardEvent, keys: ShellKeys): boolean {
  if (event.key === "Escape" && event.shiftKey) {
    event.preventDefault(); // else Firefox lists its processes
    if (event.type === "keydown") document.querySelector<HTMLElement>("header a, header button")?.focus();
  } else if (isSearch(event)) {
    event.preventDefault();
    if (event.type === "keydown") keys.search.open();
  } else return isPaletteKey(event);
  return true;
}
