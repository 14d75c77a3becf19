/** Searches what the terminal has, on the screen and above it. */

import { SearchAddon } from "@xterm/addon-search";
import type { Terminal } from "@xterm/xterm";
import { make } from "../elements.ts";
import { icon } from "../icons.ts";
import type { Disposable } from "../lifecycle.ts";
import { isLight, onThemeChange } from "../theme.ts";

/** How matches are shown. xterm.js takes colours as #RRGGBB alone. */
const RULER = { matchOverviewRuler: "#d9b45f", activeMatchColorOverviewRuler: "#6fa4e0" };
const ON_DARK = { ...RULER, matchBackground: "#6b5a1e", activeMatchBackground: "#2f6db3" };
const ON_LIGHT = { ...RULER, matchBackground: "#fbe6a2", activeMatchBackground: "#a9cdf5" };

export class SearchBar implements Disposable {
  readonly element: HTMLElement;
  readonly #terminal: Terminal;
  readonly #addon = new SearchAddon();
  readonly #input = make("input", { type: "text", "aria-label": "Search in the terminal", placeholder: "Search", autocomplete: "off", spellcheck: "false" });
  readonly #stop = onThemeChange(() => this.#recolour());
  readonly #count = make("span", { class: "count", role: "status" });

  constructor(terminal: Terminal) {
    this.#terminal = terminal;
    terminal.loadAddon(this.#addon);
    const [up, down, close] = (["up", "down", "close"] as const).map((name, at) => {
      const label = ["Earlier match", "Later match", "Close the search"][at] ?? "";
      return make("button", { type: "button", class: "quiet iconic", "aria-label": label, title: label }, icon(name));
    });
    if (!up || !down || !close) throw new Error("a button is missing");
    up.addEventListener("click", () => this.#find("back"));
    down.addEventListener("click", () => this.#find("on"));
    close.addEventListener("click", () => this.close());
    this.#input.addEventListener("input", () => this.#find("still"));
    this.element = make("div", { class: "searchbar", role: "search", hidden: "" }, this.#input, this.#count, up, down, close);
    this.element.addEventListener("keydown", (event) => this.#keyed(event));
    this.#addon.onDidChangeResults(({ resultIndex, resultCount }) => {
      const none = this.#input.value ? "nothing" : "";
      this.#count.textContent = resultCount > 0 ? `${resultIndex + 1} of ${resultCount}` : none;
    });
  }

  open(): void {
    this.element.hidden = false;
    const selected = this.#terminal.getSelection();
    if (selected && !selected.includes("\n")) this.#input.value = selected;
    this.#input.select();
    this.#input.focus();
    this.#find("still");
  }

  close(): void {
    if (this.element.hidden) return;
    this.element.hidden = true;
    this.#addon.clearDecorations();
    this.#terminal.focus();
  }

  dispose(): void {
    this.#stop();
    this.#addon.dispose();
  }

  /** Marks the matches anew, in the colours of now. */
  #recolour(): void {
    if (this.element.hidden) return;
    this.#addon.clearDecorations();
    this.#find("still");
  }

  #find(way: "back" | "on" | "still"): void {
    const text = this.#input.value;
    if (!text) return this.#addon.clearDecorations();
    const options = { decorations: isLight() ? ON_LIGHT : ON_DARK, incremental: way === "still" };
    if (way === "on") this.#addon.findNext(text, options);
    else this.#addon.findPrevious(text, options); // the newest first
  }

  #keyed(event: KeyboardEvent): void {
    if (event.key === "Escape") this.close();
    else if (event.key === "Enter" || event.key === "F3") this.#find(event.shiftKey ? "on" : "back");
    else return;
    event.preventDefault();
    event.stopPropagation();
  }
}
