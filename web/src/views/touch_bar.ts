/** Shows the keys that the keyboard of a phone or tablet lacks, below the terminal; style.css hides it from a mouse. */

import { make } from "../elements.ts";
import { Modifiers, type Modifier } from "../modifiers.ts";
import type { Screen } from "../screen.ts";

/** Has what every terminal of the page sends pass by: a touched Ctrl is for the next key, wherever it is typed. */
export const modifiers = new Modifiers(() => draw());

const HELD: readonly [string, Modifier][] = [["Ctrl", "ctrl"], ["Alt", "alt"]];
/** What is on a key, what a screen reader says, and what a terminal sends. Arrows depend on the program's mode. */
const KEYS: readonly [string, string, string][] = [
  ["Esc", "Esc", "\x1b"], ["Tab", "Tab", "\t"], ["←", "Left", "\x1b[D"], ["↑", "Up", "\x1b[A"], ["↓", "Down", "\x1b[B"], ["→", "Right", "\x1b[C"],
  ["/", "Slash", "/"], ["|", "Pipe", "|"], ["-", "Hyphen", "-"], ["~", "Tilde", "~"], ["Home", "Home", "\x1b[H"], ["End", "End", "\x1b[F"], ["PgUp", "PgUp", "\x1b[5~"], ["PgDn", "PgDn", "\x1b[6~"],
];

const holds = HELD.map(([label, modifier]) => {
  const button = key(label, label, () => modifiers.toggle(modifier));
  return { button, modifier };
});

/** Returns the bar; `screen` returns the terminal that has the keyboard. */
export function touchBar(screen: () => Screen | undefined): HTMLElement {
  const [esc, tab, ...rest] = KEYS.map(([label, name, text]) => key(label, name, () => {
    const terminal = screen()?.terminal;
    const application = terminal?.modes.applicationCursorKeysMode && /^\x1b\[[A-DHF]$/.test(text);
    terminal?.input(application ? text.replace("[", "O") : text);
  }));
  const first = [esc, tab].filter((button) => button !== undefined);
  draw();
  return make("section", { class: "touch-keys", "aria-label": "Keys of the terminal" }, ...first, ...holds.map(({ button }) => button), ...rest);
}

function key(label: string, name: string, press: () => void): HTMLButtonElement {
  const button = make("button", { type: "button", "aria-label": name }, label);
  button.addEventListener("pointerdown", (event) => event.preventDefault()); // the keyboard of the screen stays
  button.addEventListener("click", press);
  return button;
}

function draw(): void {
  for (const { button, modifier } of holds) button.setAttribute("aria-pressed", `${modifiers.has(modifier)}`);
}
