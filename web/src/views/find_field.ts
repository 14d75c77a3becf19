/** Makes the field of the search for pods, and the line that names its keys. */

import { make } from "../elements.ts";
import { formFragment } from "../route.ts";

export function findField(): HTMLInputElement {
  return make("input", {
    id: "search", type: "text", role: "combobox", "aria-label": "Find a pod", "aria-haspopup": "grid", "aria-expanded": "true",
    "aria-controls": "pods", "aria-autocomplete": "list", placeholder: "Find a pod: name, namespace, status, node, owner",
    autocomplete: "off", autocapitalize: "none", spellcheck: "false",
  });
}

export function findHints(): HTMLElement {
  const keys = [["↑↓", "choose"], ["Enter", "shell"], ["→", "containers"], ["Esc", "clear"]] as const;
  const shown = keys.map(([key, what]) => make("span", {}, make("kbd", {}, key), what));
  return make("footer", { class: "hints" }, ...shown, make("a", { href: formFragment({}) }, "Type a name"));
}
