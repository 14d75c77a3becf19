/** Shows of a long list only the rows that can be seen. */

import { make } from "../elements.ts";
import type { Disposable } from "../lifecycle.ts";

/** Rows beyond each edge that are drawn, too, so that a scroll shows no gap. */
const BEYOND = 4;

export class VirtualList<Item> implements Disposable {
  readonly element: HTMLElement;
  readonly #canvas = make("div", { class: "canvas", role: "presentation" });
  readonly #draw: (item: Item, index: number, element: HTMLElement) => void;
  readonly #observer = new ResizeObserver(() => this.update());
  readonly #drawn = new Map<number, HTMLElement>();
  readonly #free: HTMLElement[] = [];
  #items: readonly Item[] = [];
  #height = 0;

  /** `draw` makes an element, which may have shown another item, show this one. */
  constructor(attributes: Readonly<Record<string, string>>, draw: (item: Item, index: number, element: HTMLElement) => void) {
    this.#draw = draw;
    this.element = make("div", { class: "rows", ...attributes }, this.#canvas);
    this.element.addEventListener("scroll", () => this.update(), { passive: true });
    this.#observer.observe(this.element);
  }

  /** Shows these items, each anew. */
  show(items: readonly Item[]): void {
    this.#items = items;
    this.update(true);
  }

  /** Scrolls as little as is needed to show the item. */
  reveal(index: number): void {
    const { scrollTop, clientHeight } = this.element;
    const top = index * this.#height;
    if (top < scrollTop) this.element.scrollTop = top;
    else if (top + this.#height > scrollTop + clientHeight) this.element.scrollTop = top + this.#height - clientHeight;
  }

  /** Rows that can be seen at once. */
  get page(): number {
    return Math.max(1, Math.floor(this.element.clientHeight / (this.#height || 1)) - 1);
  }

  /** Draws what can be seen; `anew`: also what is drawn already. */
  update(anew = false): void {
    const height = parseFloat(getComputedStyle(this.element).getPropertyValue("--row")) || 32;
    if (height !== this.#height) {
      this.#height = height;
      anew = true;
    }
    this.element.parentElement?.style.setProperty("--scrollbar", `${this.element.offsetWidth - this.element.clientWidth}px`);
    this.#canvas.style.height = `${this.#items.length * height}px`;
    const { scrollTop, clientHeight } = this.element;
    const first = Math.max(0, Math.floor(scrollTop / height) - BEYOND);
    const end = Math.min(this.#items.length, Math.ceil((scrollTop + clientHeight) / height) + BEYOND);
    for (const [index, element] of this.#drawn) {
      if (index >= first && index < end) continue;
      element.hidden = true;
      this.#free.push(element);
      this.#drawn.delete(index);
    }
    for (let index = first; index < end; index += 1) this.#place(index, anew);
  }

  dispose(): void {
    this.#observer.disconnect();
  }

  #place(index: number, anew: boolean): void {
    const item = this.#items[index];
    if (item === undefined) return;
    let element = this.#drawn.get(index);
    if (element && !anew) return;
    if (!element) {
      element = this.#free.pop() ?? this.#canvas.appendChild(make("div", { class: "row", role: "row" }));
      element.hidden = false;
      this.#drawn.set(index, element);
    }
    element.style.transform = `translateY(${index * this.#height}px)`;
    this.#draw(item, index, element);
  }
}
