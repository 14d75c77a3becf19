/** Names the keys that the page takes for itself. A running terminal gets every other key. */

import { paneAction, type PaneAction } from "./panes/keys.ts";

const PLATFORM = typeof navigator === "undefined" ? "" : navigator.platform;
const MAC = /Mac|iPhone|iPad/.test(PLATFORM);
const WINDOWS = PLATFORM.startsWith("Win");

/** Cmd-K on a Mac; else Ctrl-Shift-K, since Ctrl-K ends lines in shells and editors. */
export function isPaletteKey(event: KeyboardEvent): boolean {
  return event.code === "KeyK" && (MAC ? event.metaKey && !event.ctrlKey : event.ctrlKey && event.shiftKey);
}

export const SEARCH_KEYS = MAC ? "Cmd-F" : "Ctrl-Shift-F";

/** Cmd-F on a Mac; else Ctrl-Shift-F, since Ctrl-F goes on by a letter, or a page. */
export function isSearch(event: KeyboardEvent): boolean {
  return event.code === "KeyF" && (MAC ? event.metaKey && !event.ctrlKey : event.ctrlKey && event.shiftKey);
}

/** Returns what a key does with the clipboard, as terminals of the platform do: Ctrl-Shift-C and -V; on Windows Ctrl-V, and
 * Ctrl-C while something is selected, too. Cmd-C and Cmd-V are the browser's.
 */
export function clipboardKey({ key, ctrlKey, shiftKey, altKey, metaKey }: KeyboardEvent, selected: boolean): "copy" | "paste" | undefined {
  if (MAC || !ctrlKey || altKey || metaKey) return undefined;
  const letter = key.toLowerCase();
  if (letter === "c" && (shiftKey || (WINDOWS && selected))) return "copy";
  return letter === "v" && (shiftKey || WINDOWS) ? "paste" : undefined;
}

export interface PageKeys {
  /** Opens the palette. */
  palette(): void;
  /** Returns the fragment of the shell so many places after the one that is shown; undefined if none is open. */
  next(by: number): string | undefined;
  /** Divides the view, or moves in it; returns false if there is nothing to do. */
  panes(action: PaneAction): boolean;
}

/** Listens for the page's keys everywhere. */
export function listenForKeys(keys: PageKeys): void {
  window.addEventListener("keydown", (event) => openPalette(event, keys));
  window.addEventListener("keydown", (event) => switchShell(event, keys), { capture: true }); // before the terminal has it
  window.addEventListener("keydown", (event) => movePanes(event, keys), { capture: true });
}

/** Where no terminal has the keyboard, Ctrl-K is good for the palette, too. */
function openPalette(event: KeyboardEvent, { palette }: PageKeys): void {
  const inTerminal = event.target instanceof Element && event.target.closest(".xterm") !== null;
  const plain = event.code === "KeyK" && event.ctrlKey && !event.shiftKey && !event.altKey;
  if (!isPaletteKey(event) && (inTerminal || !plain)) return;
  event.preventDefault();
  if (!document.querySelector("dialog.palette")) palette();
}

/** Ctrl-Shift-Left and Right lead from one open shell to the next. */
function switchShell(event: KeyboardEvent, { next }: PageKeys): void {
  const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
  if (by === undefined || !event.ctrlKey || !event.shiftKey || event.altKey || event.metaKey) return;
  if (event.target instanceof HTMLInputElement) return; // there these keys choose words
  const fragment = next(by);
  if (fragment === undefined) return;
  event.preventDefault();
  event.stopPropagation();
  location.hash = fragment;
}

function movePanes(event: KeyboardEvent, { panes }: PageKeys): void {
  if (event.target instanceof HTMLInputElement || document.querySelector("dialog[open]")) return;
  const action = paneAction(event);
  if (!action || (action.type === "split" && event.repeat) || !panes(action)) return;
  event.preventDefault();
  event.stopPropagation();
}
