/** Says how the list of pods stands: a count, a bar over the rows, and the middle where there are no rows. */

import { make } from "../elements.ts";
import { blank, loadingWords, type Blank } from "./blank.ts";
import { ListNotice } from "./list_notice.ts";

export class FindWords {
  readonly count = make("span", { class: "count", role: "status" });
  /** Stands in the place of the rows where there are none. */
  readonly place = make("div", { class: "place" });
  readonly #notice: ListNotice;
  #as = "";

  constructor(retry: () => void) {
    this.#notice = new ListNotice(retry);
  }

  get notice(): HTMLElement {
    return this.#notice.element;
  }

  /** `found`: how many rows are shown. */
  show(view: Blank, found: number): void {
    const { state, namespace, query, trouble } = view;
    const none = found === 0;
    this.place.hidden = !none;
    const as = JSON.stringify(view);
    if (none && this.#as !== as) {
      this.#as = as;
      this.place.replaceChildren(blank(view));
    }
    this.#notice.show(state, trouble, none);
    this.count.textContent = state.name === "loading" ? loadingWords(state) : none ? "" : counted(found, query, state.cut && !namespace ? state.of : undefined);
    this.count.dataset["state"] = state.name;
  }
}

function counted(found: number, query: string, of: number | undefined): string {
  const count = found.toLocaleString("en");
  if (query) return `${count} found`;
  return of ? `${count} of ${of.toLocaleString("en")} pods` : `${count} ${found === 1 ? "pod" : "pods"}`;
}
