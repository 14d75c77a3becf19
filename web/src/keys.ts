/** Names the keys that the page takes for itself. A running terminal gets every other key. */

const MAC = typeof navigator !== "undefined" && /Mac|iPhone|iPad/.test(navigator.platform);

/** Cmd-K on a Mac; else Ctrl-Shift-K, since Ctrl-K ends lines in shells and editors. */
export function isPaletteKey(event: KeyboardEvent): boolean {
  return event.code === "KeyK" && (MAC ? event.metaKey && !event.ctrlKey : event.ctrlKey && event.shiftKey);
}

/** Ctrl-K where no terminal has the keyboard. */
export function isPaletteKeyElsewhere(event: KeyboardEvent): boolean {
  return isPaletteKey(event) || (event.code === "KeyK" && event.ctrlKey && !event.shiftKey && !event.altKey);
}

/** Cmd-F on a Mac; else Ctrl-Shift-F, since Ctrl-F goes on by a letter, or a page. */
export function isSearch(event: KeyboardEvent): boolean {
  return event.code === "KeyF" && (MAC ? event.metaKey && !event.ctrlKey : event.ctrlKey && event.shiftKey);
}
