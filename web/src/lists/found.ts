/** Finds the rows that a person means, and puts nothing in order twice. */

import type { Lists } from "./lists.ts";
import type { ListMemory } from "./memory.ts";
import { arrange, search, type Row } from "./row.ts";

export class Found {
  rows: readonly Row[] = [];
  #arranged: readonly Row[] = [];
  #as = "";

  /** Looks through the lists; `recent` has the keys of rows that were opened lately, with the time. */
  update(lists: Lists, { sort, query, namespace }: ListMemory, recent: ReadonlyMap<string, number>): void {
    const as = `${lists.version} ${JSON.stringify(sort)} ${[...recent.values()].join()}`;
    if (as !== this.#as) this.#arranged = arrange(lists.rows(), sort, recent);
    this.#as = as;
    this.rows = search(this.#arranged, query, namespace);
  }

  /** Returns the index of the row with this key; the first row's if there is none. */
  indexOf(key: string | undefined): number {
    return key === undefined ? 0 : Math.max(0, this.rows.findIndex((row) => row.key === key));
  }
}
