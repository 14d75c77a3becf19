/** Lists what can be done with the shell that is shown; typing narrows the list, arrows and Enter choose. */

import { openDialog } from "../dialogs.ts";
import { make } from "../elements.ts";

export interface Action {
  readonly label: string;
  /** Keys that do the same. */
  readonly keys?: string;
  run(): void;
}

export function actionsDialog(actions: readonly Action[]): void {
  const input = make("input", { type: "text", "aria-label": "Find an action", placeholder: "What to do?", autocomplete: "off", spellcheck: "false" });
  const none = make("p", { class: "hint", role: "status" });
  const list = make("div", { class: "actions" });
  const dialog = openDialog("Actions", [input, list, none], () => {}, "actions-dialog");
  const buttons = actions.map((action) => {
    const button = make("button", { type: "button" }, make("span", {}, action.label), make("kbd", {}, action.keys ?? ""));
    button.addEventListener("click", () => {
      dialog.close();
      action.run();
    });
    return button;
  });
  const matching = (): HTMLButtonElement[] => buttons.filter((button) => matches(button.textContent ?? "", input.value));
  const show = (): void => {
    list.replaceChildren(...matching());
    none.textContent = list.firstChild ? "" : "Nothing of that name.";
  };
  input.addEventListener("input", show);
  dialog.element.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && event.target === input) matching()[0]?.click();
    else if (event.key === "ArrowDown" || event.key === "ArrowUp") step([input, ...matching()], event.key === "ArrowDown" ? 1 : -1);
    else return;
    event.preventDefault();
  });
  show();
  input.focus();
}

function matches(label: string, typed: string): boolean {
  return typed.toLowerCase().split(/\s+/).every((word) => label.toLowerCase().includes(word));
}

function step(fields: readonly HTMLElement[], by: number): void {
  const at = fields.findIndex((field) => field === document.activeElement);
  fields[(at + by + fields.length) % fields.length]?.focus();
}
