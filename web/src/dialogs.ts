/** Shows dialogs over the page: the keyboard stays inside, Escape closes, and goes back to where it was. */

import { make } from "./elements.ts";
import { icon } from "./icons.ts";

export interface Dialog {
  readonly element: HTMLDialogElement;
  close(): void;
}

/** Closes the dialog that is open, if there is one. */
export function closeDialog(): void {
  document.querySelector("dialog")?.close();
}

/** Opens a dialog with a title and a button that closes it, in place of one that is open. `closed` is called at its end. */
export function openDialog(title: string, content: readonly Node[], closed: () => void = () => {}, name = ""): Dialog {
  closeDialog();
  const before = document.activeElement;
  const close = make("button", { type: "button", class: "quiet iconic", "aria-label": "Close" }, icon("close"));
  const head = make("div", { class: "title" }, make("h2", { id: "dialog-title" }, title), close);
  const element = make("dialog", { class: `dialog ${name}`, "aria-labelledby": "dialog-title" }, head, ...content);
  const dialog = { element, close: () => element.close() };
  close.addEventListener("click", dialog.close);
  element.addEventListener("click", (event) => event.target === element && element.close()); // beside the dialog
  element.addEventListener("close", () => {
    element.remove();
    closed();
    if (before instanceof HTMLElement && document.activeElement === document.body) before.focus();
  });
  document.body.append(element);
  element.showModal();
  return dialog;
}

/** Asks whether to go on; `content` shows what it is about. The button that does it has the keyboard. */
export function confirmDialog(title: string, content: readonly Node[], label: string, accept: () => void): void {
  const yes = make("button", { type: "button", autofocus: "" }, label);
  const no = make("button", { type: "button", class: "quiet" }, "Cancel");
  const dialog = openDialog(title, [...content, make("div", { class: "next" }, yes, no)]);
  yes.addEventListener("click", () => {
    dialog.close();
    accept();
  });
  no.addEventListener("click", dialog.close);
  yes.focus();
}
