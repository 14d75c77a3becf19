/** Draws the newest lines of a log as plain text, and finds text in them. */

import { make } from "../elements.ts";
import { icon } from "../icons.ts";
import { harmless, type LogLine } from "../logs/lines.ts";
import type { Counts } from "./log_words.ts";

/** Lines that are kept. */
const MOST = 5000;
/** Pixels from the end within which a person looks at the end. */
const NEAR = 24;

export class LogLines implements Counts {
  readonly element = make("div", { class: "lines", tabindex: "0", role: "log", "aria-live": "off", "aria-label": "Lines of the log" });
  readonly search: HTMLElement;
  readonly #input = make("input", { type: "search", "aria-label": "Search in the log", placeholder: "Search", autocomplete: "off", spellcheck: "false" });
  readonly #count = make("span", { class: "count", role: "status" });
  #waiting: LogLine[] = [];
  #frame: number | undefined;
  #current: Element | undefined;
  /** True while the newest line is in sight: it stays so, whatever comes and however large the panel is. */
  #atEnd = true;
  /** True where lines were left out, since there are too many. */
  dropped = false;

  constructor() {
    const [up, down] = (["up", "down"] as const).map((name) => {
      const label = name === "up" ? "Earlier match" : "Later match";
      const button = make("button", { type: "button", class: "quiet iconic", "aria-label": label, title: label }, icon(name));
      button.addEventListener("click", () => this.#step(name === "up" ? -1 : 1));
      return button;
    });
    this.search = make("div", { class: "finder", role: "search" }, this.#input, this.#count, up ?? "", down ?? "");
    this.#input.addEventListener("input", () => this.#mark());
    this.#input.addEventListener("keydown", (event) => {
      if (event.key === "Enter") this.#step(event.shiftKey ? 1 : -1); // the newest first
      else if (event.key === "Escape" && this.#input.value) {
        this.#input.value = "";
        this.#mark();
      } else return;
      event.preventDefault();
    });
    this.element.classList.add("wrapped");
    this.element.addEventListener("scroll", () => {
      const { scrollHeight, scrollTop, clientHeight } = this.element;
      this.#atEnd = scrollHeight - scrollTop - clientHeight < NEAR;
    });
    new ResizeObserver(() => this.#stay()).observe(this.element);
  }

  get count(): number {
    return this.element.childElementCount + this.#waiting.length;
  }

  /** Adds lines, which are drawn with the next frame. */
  add(lines: readonly LogLine[]): void {
    this.#waiting.push(...lines);
    if (this.#waiting.length > MOST) {
      this.#waiting = this.#waiting.slice(-MOST);
      this.dropped = true;
    }
    this.#frame ??= requestAnimationFrame(() => this.#draw());
  }

  clear(): void {
    this.#waiting = [];
    this.dropped = false;
    this.element.replaceChildren();
    this.#mark();
  }

  wrap(wraps: boolean): void {
    this.element.classList.toggle("wrapped", wraps);
    this.#stay();
  }

  /** Gives the search the keyboard. */
  find(): void {
    this.#input.focus();
    this.#input.select();
  }

  #stay(): void {
    if (this.#atEnd) this.toEnd();
  }

  toEnd(): void {
    this.element.scrollTop = this.element.scrollHeight;
  }

  #draw(): void {
    this.#frame = undefined;
    const { element } = this;
    const wanted = this.#wanted;
    element.append(...this.#waiting.map(({ text }) => {
      const line = make("div", {}, harmless(text) || " ");
      if (wanted && matches(line, wanted)) line.className = "match";
      return line;
    }));
    this.#waiting = [];
    for (let over = element.childElementCount - MOST; over > 0; over -= 1) {
      element.firstElementChild?.remove();
      this.dropped = true;
    }
    this.#stay();
    if (wanted) this.#tell();
  }

  get #wanted(): string {
    return this.#input.value.toLowerCase();
  }

  #mark(): void {
    const wanted = this.#wanted;
    for (const line of this.element.children) line.classList.toggle("match", wanted !== "" && matches(line, wanted));
    this.#choose(this.#found.at(-1));
  }

  get #found(): Element[] {
    return [...this.element.getElementsByClassName("match")];
  }

  #step(by: number): void {
    const found = this.#found;
    const at = this.#current ? found.indexOf(this.#current) : -1;
    this.#choose(at < 0 ? found.at(-1) : found[(at + by + found.length) % found.length]);
  }

  #choose(line: Element | undefined): void {
    this.#current?.classList.remove("current");
    this.#current = line;
    line?.classList.add("current");
    line?.scrollIntoView({ block: "nearest" });
    this.#tell();
  }

  #tell(): void {
    const found = this.#found;
    const at = this.#current ? found.indexOf(this.#current) : -1;
    this.#count.textContent = !this.#wanted ? "" : found.length === 0 ? "nothing" : at < 0 ? `${found.length}` : `${at + 1} of ${found.length}`;
  }
}

function matches(line: Element, wanted: string): boolean {
  return line.textContent?.toLowerCase().includes(wanted) ?? false;
}
