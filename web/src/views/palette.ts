/** Finds a pod over any view: the list of pods in a dialog. */

import { openDialog } from "../dialogs.ts";
import { make } from "../elements.ts";
import { FindView, type Find } from "./find.ts";

/** Opens the palette. A chosen pod closes it, and is opened. */
export function openPalette(find: Omit<Find, "cluster" | "namespace">): void {
  const host = make("div", { class: "host" });
  let view: FindView | undefined;
  const dialog = openDialog("Find a pod", [host], () => view?.dispose(), "palette");
  const leave = <T>(go: (value: T) => void) => (value: T): void => {
    dialog.close();
    go(value);
  };
  view = new FindView(host, { cluster: undefined, namespace: undefined, open: leave(find.open), unauthorized: leave(find.unauthorized), inPalette: true });
  view.focus();
}
