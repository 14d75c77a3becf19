/** Shows the command that a link names, and runs the command only on request: anybody may have made the link. */

import { card, make } from "../elements.ts";
import { listen, Store, type Disposable } from "../lifecycle.ts";
import type { Argv, Target } from "../protocol/target.ts";
import { describeTarget, shellWords } from "../words.ts";

/** Milliseconds before the view takes keys and clicks, so that an Enter meant for the page before runs nothing. */
const DEAF = 500;

export interface Confirm {
  readonly target: Target;
  readonly argv: Argv;
  accept(): void;
}

export function confirmView(host: HTMLElement, { target, argv, accept }: Confirm): Disposable {
  const store = new Store();
  const button = make("button", { disabled: "" }, "Run it");
  const run = (): void => {
    store.dispose();
    accept();
  };
  host.replaceChildren(
    card(
      "Run this command?",
      make("p", {}, "A link asks to run"),
      make("pre", { class: "command", tabindex: "0", "aria-label": "Command" }, shellWords(argv)),
      make("p", {}, "in ", make("strong", { class: "where" }, describeTarget(target)), "."),
      make("p", {}, button),
      make("p", { class: "hint" }, "Nothing has run yet. Press Enter, or the button, to run it."),
    ),
  );
  const timer = setTimeout(() => {
    button.disabled = false;
    button.focus();
    button.addEventListener("click", run);
  }, DEAF);
  store.onDispose(() => clearTimeout(timer));
  store.add(listen(window, "keydown", (event) => {
    if (event.key !== "Enter" || isElsewhere(event.target, host)) return;
    event.preventDefault(); // a key that is held down clicks nothing
    if (!event.repeat && !button.disabled) run();
  }));
  return store;
}

/** Returns true if an Enter is for something else that has the keyboard: in the head, or in a dialog. */
function isElsewhere(on: EventTarget | null, host: HTMLElement): boolean {
  if (document.querySelector("dialog[open]")) return true;
  return on !== document.body && !(on instanceof Node && host.contains(on));
}
