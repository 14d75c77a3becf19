/** Says why a list shows no rows, and what one can do next: nothing yet, nothing there, not allowed, not reached. */

import { make } from "../elements.ts";
import { icon, type IconName } from "../icons.ts";
import { hopName } from "../endings.ts";
import type { ListState } from "../lists/feed.ts";
import { formFragment } from "../route.ts";
import { visible } from "../words.ts";

export interface Blank {
  readonly state: ListState;
  readonly cluster: string;
  /** Namespace that is looked at; empty: all. */
  readonly namespace: string;
  readonly query: string;
  /** Why the gateway is not reached, as far as that is known. */
  readonly trouble: string;
  /** Namespace to suggest where not all may be seen. */
  readonly suggested: string;
  retry(): void;
  clear(): void;
  look(namespace: string): void;
}

/** Returns what stands in the place of the rows. */
export function blank(view: Blank): HTMLElement {
  const { state, cluster, namespace, query } = view;
  const where = namespace ? `“${namespace}”` : `all namespaces of “${cluster}”`;
  switch (state.name) {
    case "loading":
      return message("search", loadingWords(state), "", [skeleton()]);
    case "forbidden":
    case "refused":
      return state.code === "cluster_unknown"
        ? message("broken", "There is no such cluster", visible(state.message), [byName(view)])
        : message("lock", `You may not list the pods in ${where}`, visible(state.message), notListed(view));
    case "failed":
      return message("broken", "The pods cannot be read now", `From ${hopName(state.hop)}: ${visible(state.message)}`, [
        action("Try again", view.retry),
        byName(view),
      ]);
    case "away":
      return message("broken", "The gateway is not reached", view.trouble || "The connection was lost, and is tried again.", [action("Try now", view.retry)]);
    case "live":
    case "stale":
      return query
        ? message("search", `Nothing here matches “${visible(query)}”`, `All of ${namespace || "the cluster"} was looked through.`, [
            action("Clear", view.clear),
            byName(view),
          ])
        : message("none", `There are no pods in ${namespace ? where : `“${cluster}”`}`, "As soon as there is one, it is shown here.", [
            ...(namespace ? [action("All namespaces", () => view.look(""))] : []),
            byName(view),
          ]);
  }
}

/** Says how far a list that is on its way has come. */
export function loadingWords({ have, of }: ListState): string {
  if (have === 0) return "Loading pods…";
  return of === undefined ? `Loading ${have.toLocaleString("en")} pods…` : `Loading ${have.toLocaleString("en")} of ${of.toLocaleString("en")}`;
}

function message(name: IconName, title: string, text: string, next: readonly HTMLElement[]): HTMLElement {
  return make(
    "div",
    { class: "blank" },
    icon(name),
    make("h2", {}, title),
    ...(text ? [make("p", {}, text)] : []),
    make("div", { class: "next" }, ...next),
  );
}

function notListed(view: Blank): HTMLElement[] {
  if (view.state.code === "not_allowed") return [byName(view)];
  return [...(view.namespace ? [action("Try again", view.retry)] : []), namespaceForm(view), byName(view)];
}

/** A field for a namespace, of which one may know that one may look there. */
function namespaceForm({ suggested, look }: Blank): HTMLElement {
  const names = { name: "namespace", autocomplete: "off", autocapitalize: "none", spellcheck: "false" };
  const input = make("input", { ...names, "aria-label": "Namespace", placeholder: "namespace", value: suggested, required: "" });
  const form = make("form", { class: "inline" }, input, make("button", {}, "Look there"));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    look(input.value.trim());
  });
  return form;
}

function byName({ cluster, namespace, query }: Blank): HTMLElement {
  const pod = /^[a-z0-9.-]+$/.test(query) ? query : "";
  return make("a", { class: "button quiet", href: formFragment({ cluster, namespace, pod }) }, pod ? `Open “${pod}” by its name` : "Type a name");
}

function action(label: string, press: () => void): HTMLElement {
  const button = make("button", { type: "button" }, label);
  button.addEventListener("click", press);
  return button;
}

function skeleton(): HTMLElement {
  return make("div", { class: "skeleton", "aria-hidden": "true" }, ...Array.from({ length: 6 }, () => make("span")));
}
