/** Looks at what is pasted before the program gets it. */

import type { Terminal } from "@xterm/xterm";
import { confirmDialog } from "./dialogs.ts";
import { make } from "./elements.ts";
import type { Disposable } from "./lifecycle.ts";
import { settings } from "./settings.ts";
import { megabytes, visible } from "./words.ts";

/** Lines and characters of a line that are shown of a paste. */
const SHOWN = { lines: 200, characters: 300 };

/** Returns pasted text that cannot end its own paste, so that nothing behind passes for typed. */
export function harmless(text: string): string {
  let [before, after] = ["", text];
  while (before !== after) [before, after] = [after, after.replace(/\x1b\[20[01]~|\x9b20[01]~/g, "")];
  return after;
}

/** Returns true where a program that reads line by line would act on more than one, or at once. */
export function hasLines(text: string): boolean {
  return /[\r\n]/.test(text.replace(/\r?\n$/, ""));
}

/** Has pastes into `terminal`, which is inside of `host`, pass by here. */
export function guardPaste(terminal: Terminal, host: HTMLElement): Disposable {
  const pasted = (event: ClipboardEvent): void => {
    const text = event.clipboardData?.getData("text/plain") ?? "";
    const clean = harmless(text);
    if (clean === text && !(settings().confirmPaste && hasLines(text))) return; // the terminal takes it
    event.preventDefault();
    event.stopPropagation();
    if (settings().confirmPaste && hasLines(clean)) ask(clean, () => terminal.paste(clean));
    else terminal.paste(clean);
  };
  host.addEventListener("paste", pasted, { capture: true });
  return { dispose: () => host.removeEventListener("paste", pasted, { capture: true }) };
}

function ask(text: string, accept: () => void): void {
  const lines = text.replace(/\r?\n$/, "").split(/\r\n|\r|\n/);
  const shown = lines.slice(0, SHOWN.lines).map((line) => visible(line.slice(0, SHOWN.characters)));
  const size = text.length > 100_000 ? `, ${megabytes(text.length)}` : "";
  const more = lines.length > SHOWN.lines ? [`… and ${(lines.length - SHOWN.lines).toLocaleString("en")} more`] : [];
  const preview = make("pre", { class: "command", tabindex: "0", "aria-label": "What is pasted" }, [...shown, ...more].join("\n"));
  confirmDialog(`Paste ${lines.length.toLocaleString("en")} lines${size}?`, [preview], "Paste", accept);
}
