/** Says over a list how far it is to be believed, where it shows rows that are not, or not all, as the cluster has them. */

import { make } from "../elements.ts";
import { hopName } from "../endings.ts";
import type { ListState } from "../lists/feed.ts";
import { visible } from "../words.ts";

export class ListNotice {
  readonly element = make("div", { class: "listnotice", "aria-live": "polite" });
  readonly #bar = make("div", { class: "progress", "aria-hidden": "true" });
  readonly #retry: () => void;
  #as = "";

  constructor(retry: () => void) {
    this.#retry = retry;
    this.element.append(this.#bar);
  }

  /** `none`: there are no rows, so the middle of the list says what there is to say. */
  show(state: ListState, trouble: string, none: boolean): void {
    const loading = state.name === "loading";
    this.#bar.hidden = !loading;
    this.#bar.style.setProperty("--part", loading && state.of ? String(state.have / state.of) : "0");
    const words = none ? "" : sentence(state, trouble);
    if (words === this.#as) return;
    this.#as = words;
    const again = make("button", { type: "button" }, "Try now");
    again.addEventListener("click", this.#retry);
    const bad = state.name === "stale" || state.name === "away";
    const notice = make("div", { class: "notice", "data-mood": bad ? "busy" : "plain" }, make("p", {}, words), ...(bad ? [again] : []));
    this.element.replaceChildren(this.#bar, ...(words ? [notice] : []));
  }
}

function sentence(state: ListState, trouble: string): string {
  switch (state.name) {
    case "stale":
      return `This list is not kept up to date. From ${hopName(state.hop)}: ${visible(state.message)}`;
    case "away":
      return `${trouble || "The connection to the gateway is lost."} This list is as it was then.`;
    case "live": {
      if (state.cut) return `Only the first ${state.have.toLocaleString("en")} pods are shown: choose a namespace, or type the name of another.`;
      return state.every > 0 ? `The runner has no relay: the list is looked at every ${state.every} s.` : "";
    }
    default:
      return "";
  }
}
