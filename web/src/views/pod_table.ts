/** Draws the table of pods: columns that sort, and rows of which one is chosen. */

import { make } from "../elements.ts";
import { icon } from "../icons.ts";
import type { Disposable } from "../lifecycle.ts";
import { SHORT } from "../lists/lists.ts";
import { age, COLUMNS, moodOf, type Column, type Row, type Sort } from "../lists/row.ts";
import { VirtualList } from "../lists/virtual.ts";
import { visible } from "../words.ts";

const TITLES: Readonly<Record<Column, string>> = {
  name: "Name",
  namespace: "Namespace",
  ready: "Ready",
  status: "Status",
  restarts: "Restarts",
  created: "Age",
  node: "Node",
};

export interface TableHooks {
  sort(column: Column): void;
  open(row: Row): void;
  /** Shows what is inside of the row's pod. */
  inside(row: Row): void;
}

/** What the rows are drawn with. */
export interface Drawing {
  readonly words: readonly string[];
  readonly recent: ReadonlyMap<string, number>;
  readonly now: number;
  readonly sort: Sort | undefined;
}

/** The parts of a drawn row, and what they show. */
interface Cells {
  readonly name: HTMLElement;
  readonly kind: HTMLElement;
  readonly recent: HTMLElement;
  readonly more: HTMLElement;
  readonly namespace: HTMLElement;
  readonly ready: HTMLElement;
  readonly status: HTMLElement;
  readonly restarts: HTMLElement;
  readonly created: HTMLElement;
  readonly node: HTMLElement;
  row: Row | undefined;
  as: string;
}

export class PodTable implements Disposable {
  readonly element: HTMLElement;
  readonly #hooks: TableHooks;
  readonly #list: VirtualList<Row>;
  readonly #heads = new Map<Column, HTMLElement>();
  readonly #cells = new WeakMap<HTMLElement, Cells>();
  #rows: readonly Row[] = [];
  #drawing: Drawing = { words: [], recent: new Map(), now: 0, sort: undefined };
  #active = 0;

  constructor(hooks: TableHooks) {
    this.#hooks = hooks;
    this.#list = new VirtualList<Row>({ role: "rowgroup", tabindex: "-1" }, (row, index, element) => this.#draw(row, index, element));
    this.#list.element.addEventListener("click", (event) => this.#clicked(event));
    const head = make("div", { class: "head row", role: "row" }, ...COLUMNS.map((column) => this.#head(column)));
    const heads = make("div", { role: "rowgroup" }, head);
    this.element = make("div", { class: "table", role: "grid", id: "pods", "aria-label": "Pods" }, heads, this.#list.element);
  }

  get scroller(): HTMLElement {
    return this.#list.element;
  }

  get active(): Row | undefined {
    return this.#rows[this.#active];
  }

  get page(): number {
    return this.#list.page;
  }

  show(rows: readonly Row[], active: number, drawing: Drawing): void {
    this.#rows = rows;
    this.#drawing = drawing;
    this.#active = Math.max(0, Math.min(active, rows.length - 1));
    this.element.setAttribute("aria-rowcount", String(rows.length + 1));
    for (const [column, head] of this.#heads) {
      const order = drawing.sort?.column !== column ? "none" : drawing.sort.descending ? "descending" : "ascending";
      head.setAttribute("aria-sort", order);
    }
    this.#list.show(rows);
  }

  /** Chooses the row so many rows further down, and returns it. */
  move(by: number): Row | undefined {
    this.#active = Math.max(0, Math.min(this.#active + by, this.#rows.length - 1));
    this.#list.reveal(this.#active);
    this.#list.update(true);
    return this.active;
  }

  reveal(): void {
    this.#list.reveal(this.#active);
  }

  /** The id of the chosen row's element; empty if there is none. */
  get activeId(): string {
    return this.active ? `row-${this.#active}` : "";
  }

  dispose(): void {
    this.#list.dispose();
  }

  #head(column: Column): HTMLElement {
    const button = make("button", { type: "button", tabindex: "-1" }, TITLES[column], icon("up"));
    button.addEventListener("click", () => this.#hooks.sort(column));
    const head = make("div", { class: column, role: "columnheader" }, button);
    this.#heads.set(column, head);
    return head;
  }

  #clicked({ target }: Event): void {
    if (!(target instanceof Element)) return;
    const row = this.#rows[Number(target.closest<HTMLElement>(".row")?.dataset["index"] ?? NaN)];
    if (!row) return;
    if (target.closest("button")) this.#hooks.inside(row);
    else this.#hooks.open(row);
  }

  #draw(row: Row, index: number, element: HTMLElement): void {
    const { now, recent, words } = this.#drawing;
    const cells = this.#cells.get(element) ?? this.#fill(element);
    element.id = `row-${index}`;
    element.dataset["index"] = String(index);
    element.setAttribute("aria-rowindex", String(index + 2));
    element.setAttribute("aria-selected", String(index === this.#active));
    element.classList.toggle("restarted", row.restarts > 0);
    cells.recent.hidden = !recent.has(row.key);
    cells.created.textContent = row.created ? age(now - row.created) : "";
    const as = `${row.key} ${words.join(" ")}`;
    if (cells.row === row && cells.as === as) return;
    Object.assign(cells, { row, as });
    const short = SHORT[row.kind] ?? "";
    cells.kind.textContent = short;
    cells.kind.hidden = !short;
    cells.more.hidden = short !== "";
    cells.more.ariaLabel = `Containers of ${visible(row.name)}`;
    mark(cells.name, row.name, words);
    mark(cells.namespace, row.namespace, words);
    mark(cells.node, row.node, words);
    cells.ready.textContent = visible(row.ready);
    cells.status.textContent = visible(row.status);
    cells.status.dataset["mood"] = row.status ? moodOf(row) : "";
    cells.restarts.textContent = short ? "" : String(row.restarts);
  }

  /** Makes the cells of a row, which stay while the row shows one pod after another. */
  #fill(element: HTMLElement): Cells {
    const [name, status] = [make("span", { class: "text" }), make("span", { class: "dot" })];
    const [kind, recent] = [make("span", { class: "kind" }), make("span", { class: "again", title: "opened lately" }, icon("recent"))];
    const more = make("button", { type: "button", tabindex: "-1", class: "iconic" }, icon("open"));
    const [namespace, ready, restarts, created, node] = (["namespace", "ready", "restarts", "created", "node"] as const).map((column) => cell(column));
    if (!namespace || !ready || !restarts || !created || !node) throw new Error("a column is missing");
    element.replaceChildren(cell("name", recent, kind, name, more), namespace, ready, cell("status", status), restarts, created, node);
    const cells: Cells = { name, status, kind, recent, more, namespace, ready, restarts, created, node, row: undefined, as: "" };
    this.#cells.set(element, cells);
    return cells;
  }
}

function cell(column: Column, ...content: readonly (Node | string)[]): HTMLElement {
  return make("div", { class: column, role: "gridcell" }, ...content);
}

/** Shows the text with the first place of each word marked. */
function mark(element: HTMLElement, text: string, words: readonly string[]): void {
  const shown = visible(text);
  element.title = shown;
  const low = shown.toLowerCase();
  const places = words.map((word) => [low.indexOf(word), word.length] as const).filter(([at]) => at >= 0);
  if (places.length === 0) return void (element.textContent = shown);
  const parts: (Node | string)[] = [];
  let end = 0;
  for (const [at, length] of places.sort(([a], [b]) => a - b)) {
    if (at < end) continue;
    parts.push(shown.slice(end, at), make("mark", {}, shown.slice(at, at + length)));
    end = at + length;
  }
  element.replaceChildren(...parts, shown.slice(end));
}
