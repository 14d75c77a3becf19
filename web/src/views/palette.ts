/** Finds a pod over any view: the list of pods in a dialog. */

import { openDialog } from "../dialogs.ts";
import { make } from "../elements.ts";
import { FindView, type Find } from "./find.ts";

interface Palette extends Omit<Find, "cluster" | "namespace" | "inPalette"> {
  /** Lists what can be done with the shell that is shown; undefined while none is. */
  readonly actions: (() => void) | undefined;
}

/** Opens the palette. A chosen pod closes it, and is opened; `>` leads to the actions. */
export function openPalette({ actions, ...find }: Palette): void {
  const host = make("div", { class: "host" });
  let view: FindView | undefined;
  const dialog = openDialog("Find a pod", [host], () => view?.dispose(), "palette");
  const leave = <T>(go: (value: T) => void) => (value: T): void => {
    dialog.close();
    go(value);
  };
  view = new FindView(host, { cluster: undefined, namespace: undefined, open: leave(find.open), unauthorized: leave(find.unauthorized), inPalette: true });
  view.focus();
  if (!actions) return;
  const more = make("button", { type: "button", class: "quiet more" }, "Actions of this shell ", make("kbd", {}, ">"));
  more.addEventListener("click", actions); // a dialog takes the place of the one before
  host.addEventListener("beforeinput", (event) => {
    if (event.data !== ">") return;
    event.preventDefault();
    actions();
  });
  dialog.element.append(more);
}
