/** Chooses the cluster, and one of its namespaces or all. */

import { make } from "../elements.ts";
import { isName } from "../protocol/target.ts";

export class Places {
  readonly element: HTMLElement;
  readonly #clusters = make("select", { "aria-label": "Cluster", hidden: "" });
  readonly #namespaces = make("select", { "aria-label": "Namespace" });
  #seen = "";

  /** `look` is called with what was chosen; an empty namespace stands for all. */
  constructor(look: (cluster: string | undefined, namespace: string) => void) {
    this.element = make("div", { class: "places" }, this.#clusters, this.#namespaces);
    this.#clusters.addEventListener("change", () => look(this.#clusters.value, ""));
    this.#namespaces.addEventListener("change", () => look(undefined, this.#namespaces.value));
  }

  /** Offers these clusters, where there are several. */
  offerClusters(names: readonly string[], chosen: string): void {
    fill(this.#clusters, names.map((name) => [name, name] as const));
    this.#clusters.hidden = names.length < 2;
    this.#clusters.value = chosen;
  }

  /** Offers the namespaces of rows; `version` says whether they may have changed since the last call. */
  offerNamespaces(rows: Iterable<{ readonly namespace: string }>, chosen: string, version: string): void {
    const seen = `${version} ${chosen}`;
    if (seen === this.#seen) return;
    this.#seen = seen;
    const known = new Set(chosen ? [chosen] : []);
    for (const { namespace } of rows) known.add(namespace);
    const names = [...known].filter(isName).sort();
    fill(this.#namespaces, [["", "All namespaces"], ...names.map((name) => [name, name] as const)]);
    this.#namespaces.value = chosen;
  }
}

/** Replaces the options, unless they are the same: a list that is open would close. */
function fill(select: HTMLSelectElement, options: readonly (readonly [value: string, label: string])[]): void {
  const same = select.options.length === options.length && options.every(([value], at) => select.options[at]?.value === value);
  if (!same) select.replaceChildren(...options.map(([value, label]) => make("option", { value }, label)));
}
