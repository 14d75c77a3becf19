/** Decides of which cluster and namespace the list is: as a link says, as the person chooses, as before, or as far as one may look. */

import * as access from "../access.ts";
import type { Lists } from "../lists/lists.ts";
import type { ListMemory } from "../lists/memory.ts";
import { isName } from "../protocol/target.ts";
import { listFragment } from "../route.ts";
import { Places } from "./places.ts";

export interface FindPlaceEvents {
  /** The list is of another place now. */
  moved(): void;
  /** More is known of the place. */
  learned(): void;
  unauthorized(message: string): void;
}

export class FindPlace {
  readonly #lists: Lists;
  readonly #memory: ListMemory;
  readonly #events: FindPlaceEvents;
  readonly #inPalette: boolean;
  readonly #places = new Places((cluster, namespace) => this.look(cluster ?? this.#memory.cluster, namespace));
  /** The namespace that one may see, where one may not see all; empty while nobody knows. */
  suggested = "";
  #asked = false;

  /** `inPalette`: the address bar has the link of another view. */
  constructor(lists: Lists, memory: ListMemory, inPalette: boolean, events: FindPlaceEvents) {
    this.#lists = lists;
    this.#memory = memory;
    this.#inPalette = inPalette;
    this.#events = events;
  }

  get element(): HTMLElement {
    return this.#places.element;
  }

  /** Looks at the cluster of the link, or as before, or at the first one; `gone` is true once nobody wants the list. */
  async start(gone: () => boolean): Promise<void> {
    const { cluster } = this.#memory;
    const answer = await access.clusters();
    if (gone()) return;
    if (answer.type === "refused" && answer.status === 401) return this.#events.unauthorized(answer.message);
    if (answer.type !== "ok") return;
    const names = answer.value.filter(isName);
    const shown = cluster && !names.includes(cluster) && cluster !== "default" ? [...names, cluster] : names;
    const [first = "default"] = names;
    if (!cluster || (cluster === "default" && !names.includes("default"))) this.look(first, this.#memory.namespace);
    this.#places.offerClusters(shown, this.#memory.cluster);
  }

  /** Remembers another place; what was chosen in the list is no more. */
  aim(cluster: string, namespace: string): void {
    const memory = this.#memory;
    if (memory.cluster === cluster && memory.namespace === namespace) return;
    Object.assign(memory, { cluster, namespace, active: undefined, scroll: 0 });
  }

  /** Switches to another cluster or namespace, in place. */
  look(cluster: string, namespace: string): void {
    if (!isName(cluster) || (namespace && !isName(namespace))) return;
    this.aim(cluster, namespace);
    if (!this.#inPalette) history.replaceState(null, "", location.pathname + location.search + listFragment(cluster, namespace));
    const lists = this.#lists;
    lists.look(cluster, lists.cluster === cluster ? lists.namespace : "");
    if (lists.namespace && lists.namespace !== namespace) lists.look(cluster, namespace);
    this.#events.moved();
  }

  /** Offers the namespaces of what is listed and, where not all may be seen, narrows the list to one that may be. */
  update(): void {
    const { state } = this.#lists;
    if ((state.name === "forbidden" || state.name === "refused") && !this.#lists.namespace) this.#narrow();
    this.#places.offerNamespaces(this.#lists.pods.values(), this.#memory.namespace, this.#lists.version);
  }

  #narrow(): void {
    const { cluster, namespace } = this.#memory;
    if (namespace) return this.#lists.look(cluster, namespace);
    if (this.#asked) return;
    this.#asked = true;
    void access.defaultNamespace(cluster).then((answer) => {
      if (answer.type !== "ok" || !isName(answer.value)) return;
      this.suggested = answer.value;
      this.#events.learned();
    });
  }
}
