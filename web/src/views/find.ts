/** Finds a pod: a list of all that one may see, which a person narrows down by typing, and opens with Enter. */

import * as access from "../access.ts";
import { make } from "../elements.ts";
import { icon } from "../icons.ts";
import { listen, onVisible, Store, type Disposable } from "../lifecycle.ts";
import { listsOf, targetOf, type Lists } from "../lists/lists.ts";
import { keepListMemory, listMemory } from "../lists/memory.ts";
import { recent } from "../lists/recent.ts";
import { Found } from "../lists/found.ts";
import type { Column, Row } from "../lists/row.ts";
import type { Target } from "../protocol/target.ts";
import { formFragment } from "../route.ts";
import { findField, findHints } from "./find_field.ts";
import { findAction } from "./find_keys.ts";
import { FindPlace } from "./find_place.ts";
import { FindWords } from "./find_words.ts";
import { insidePanel } from "./inside.ts";
import { PodTable } from "./pod_table.ts";

/** Milliseconds between two updates of the ages. */
const TICK = 10_000;

export interface Find {
  /** Cluster and namespace that a link names; undefined: as the tab had them. */
  readonly cluster: string | undefined;
  readonly namespace: string | undefined;
  /** True in a dialog over another view, whose link stays in the address bar. */
  readonly inPalette?: boolean;
  open(target: Target): void;
  unauthorized(message: string): void;
}

export class FindView implements Disposable {
  readonly #find: Find;
  readonly #memory = listMemory();
  readonly #store = new Store();
  readonly #lists: Lists;
  readonly #table: PodTable;
  readonly #input = findField();
  readonly #place: FindPlace;
  readonly #words: FindWords;
  readonly #middle = make("div", { class: "middle" });
  #panel: HTMLElement | undefined;
  readonly #found = new Found();
  #frame = 0;
  #trouble = "";

  constructor(host: HTMLElement, find: Find) {
    this.#find = find;
    this.#lists = listsOf(this.#later, () => void this.#askWhy());
    this.#place = new FindPlace(this.#lists, this.#memory, find.inPalette ?? false, {
      moved: () => this.#moved(),
      learned: () => this.#store.disposed || this.#refresh(),
      unauthorized: find.unauthorized,
    });
    this.#words = new FindWords(() => this.#lists.retry());
    this.#table = this.#store.add(new PodTable({
      sort: (column) => this.#sort(column),
      open: (row) => this.#open(row),
      inside: (row) => this.#inside(row, false),
    }));
    host.replaceChildren(this.#make());
    this.#listen();
    if (find.cluster !== undefined) this.#place.aim(find.cluster, find.namespace ?? "");
    const { query, cluster, scroll } = this.#memory;
    this.#input.value = query;
    if (cluster) this.#lists.look(cluster, "");
    this.#refresh();
    this.#table.scroller.scrollTop = scroll;
    void this.#place.start(() => this.#store.disposed);
  }

  dispose(): void {
    cancelAnimationFrame(this.#frame);
    this.#memory.scroll = this.#table.scroller.scrollTop;
    keepListMemory();
    this.#lists.rest(this.#later);
    this.#store.dispose();
  }

  /** Gives the search the keyboard. What was searched for before is selected: the next key begins anew. */
  focus(): void {
    this.#input.focus();
    this.#input.select();
  }

  #make(): HTMLElement {
    const field = make("div", { class: "search" }, icon("search"), this.#input, this.#words.count);
    this.#middle.append(make("div", { class: "list" }, this.#table.element, this.#words.place));
    return make("section", { class: "find", "aria-label": "Find a pod" }, make("h1", { class: "unseen" }, "Find a pod"), make("div", { class: "tools" }, field, this.#place.element), this.#words.notice, this.#middle, findHints());
  }

  #listen(): void {
    this.#input.addEventListener("input", () => this.#typed());
    this.#store.add(listen(window, "keydown", (event) => this.#keyed(event)));
    this.#store.add(listen(window, "pagehide", () => keepListMemory()));
    this.#store.add(listen(window, "online", () => this.#lists.check()));
    this.#store.add(onVisible(() => this.#lists.check()));
    const timer = setInterval(() => this.#draw(), TICK);
    this.#store.onDispose(() => clearInterval(timer));
  }

  /** The list is of another place: begins at its top. */
  #moved(): void {
    this.#closePanel();
    this.#table.scroller.scrollTop = 0;
    this.#input.focus();
    this.#refresh();
  }

  #typed(): void {
    Object.assign(this.#memory, { query: this.#input.value, active: undefined, scroll: 0 });
    this.#closePanel();
    this.#table.scroller.scrollTop = 0;
    this.#refresh();
  }

  #sort(column: Column): void {
    const { sort } = this.#memory;
    if (sort?.column !== column) this.#memory.sort = { column, descending: false };
    else this.#memory.sort = sort.descending ? undefined : { column, descending: true };
    this.#refresh();
    this.#input.focus();
  }

  readonly #later = (): void => {
    cancelAnimationFrame(this.#frame);
    this.#frame = requestAnimationFrame(() => this.#refresh());
  };

  /** Shows the lists as they are now. */
  #refresh(): void {
    const { cluster, query, active } = this.#memory;
    if (this.#lists.state.name === "live") this.#trouble = "";
    if (query) this.#lists.lookAtWorkloads();
    this.#place.update();
    this.#found.update(this.#lists, this.#memory, recent(access.identity(), cluster));
    this.#draw(this.#found.indexOf(active));
    this.#say();
  }

  #draw(active = this.#found.indexOf(this.#table.active?.key)): void {
    const { query, sort, cluster } = this.#memory;
    const words = query.toLowerCase().split(/\s+/).filter(Boolean);
    const drawing = { words, sort, recent: recent(access.identity(), cluster), now: this.#lists.now };
    this.#table.show(this.#found.rows, active, drawing);
    this.#input.setAttribute("aria-activedescendant", this.#table.activeId);
  }

  #say(): void {
    const { state, cluster } = this.#lists;
    const { namespace, query } = this.#memory;
    this.#table.element.hidden = this.#found.rows.length === 0;
    const view = {
      state, cluster, namespace, query: query.trim(), trouble: this.#trouble, suggested: this.#place.suggested,
      retry: () => this.#lists.retry(),
      clear: () => this.#clear(),
      look: (name: string) => this.#place.look(cluster, name),
    };
    this.#words.show(view, this.#found.rows.length);
  }

  #keyed(event: KeyboardEvent): void {
    const action = findAction(event, this.#input, this.#table.page);
    const row = this.#table.active;
    switch (action?.type) {
      case undefined:
        return;
      case "type":
        return this.#input.focus();
      case "move":
        this.#move(action.by);
        break;
      case "open":
        this.#enter(row);
        break;
      case "inside":
        if (row?.kind !== "pods") return;
        this.#inside(row, true);
        break;
      case "leave":
        if (this.#find.inPalette && !this.#panel && !this.#memory.query) return; // closes the dialog
        this.#escape();
        break;
      case "search":
        this.#input.focus();
    }
    event.preventDefault();
  }

  #move(by: number): void {
    this.#memory.active = this.#table.move(by)?.key;
    this.#input.setAttribute("aria-activedescendant", this.#table.activeId);
    if (this.#panel && this.#table.active?.kind === "pods") this.#inside(this.#table.active, false);
  }

  #enter(row: Row | undefined): void {
    if (row) this.#open(row);
    else if (this.#memory.query.trim()) {
      const { cluster, namespace, query } = this.#memory;
      location.hash = formFragment({ cluster, namespace, pod: query.trim() });
    }
  }

  #escape(): void {
    if (this.#panel) this.#closePanel();
    else this.#clear();
    this.#input.focus();
  }

  #clear(): void {
    this.#input.value = "";
    this.#typed();
    this.#input.focus();
  }

  #open(row: Row, container = ""): void {
    this.#memory.active = row.key;
    this.#find.open(targetOf(this.#lists.cluster, row, container || undefined));
  }

  #inside(row: Row, focus: boolean): void {
    this.#panel?.remove();
    this.#memory.active = row.key;
    this.#draw(this.#found.indexOf(row.key));
    this.#panel = insidePanel(this.#lists.cluster, row, focus, {
      open: (container) => this.#open(row, container),
      close: () => this.#escape(),
      unauthorized: this.#find.unauthorized,
    });
    this.#middle.append(this.#panel);
    if (focus) this.#panel.querySelector<HTMLElement>("button")?.focus();
  }

  #closePanel(): void {
    this.#panel?.remove();
    this.#panel = undefined;
  }

  /** Asks the gateway with ordinary requests why it took no connection, which a browser hides. */
  async #askWhy(): Promise<void> {
    const answer = await access.whyNoLists();
    if (this.#store.disposed) return;
    if (answer.unauthorized !== undefined) return this.#find.unauthorized(answer.unauthorized);
    this.#trouble = answer.words;
    this.#refresh();
  }
}
