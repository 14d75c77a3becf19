/** Shows bars over the top of the terminal, which cover a line or two and leave the size that programs know alone. */

import { make } from "./elements.ts";
import type { Disposable } from "./lifecycle.ts";
import { clock } from "./words.ts";

/** Milliseconds between two updates of the counts. */
const TICK = 1000;

export interface Notice {
  readonly mood: "busy" | "bad" | "plain";
  /** Sentence of the bar, which a screen reader reads out when the bar appears. */
  readonly text: string;
  /** Returns the part of the bar that changes, which is asked again every second and never read out. */
  readonly count?: () => string;
  readonly buttons?: readonly Button[];
}

export interface Button {
  readonly label: string;
  /** True if the button takes the keyboard when the bar appears. */
  readonly focus?: boolean;
  press(): void;
}

interface Shown {
  readonly row: HTMLElement;
  update(): void;
}

export class Notices<Kind extends string> implements Disposable {
  readonly element = make("div", { class: "notices", "aria-live": "polite" });
  readonly #shown = new Map<Kind, Shown>();
  readonly #timer = setInterval(() => this.#shown.forEach((each) => each.update()), TICK);

  /** Shows a bar, in place of an earlier bar of its kind. */
  show(kind: Kind, notice: Notice): void {
    const shown = draw(notice);
    const earlier = this.#shown.get(kind);
    if (earlier) earlier.row.replaceWith(shown.row);
    else this.element.append(shown.row);
    this.#shown.set(kind, shown);
    shown.row.querySelector<HTMLElement>("[data-focus]")?.focus();
  }

  hide(...kinds: readonly Kind[]): void {
    for (const kind of kinds) {
      this.#shown.get(kind)?.row.remove();
      this.#shown.delete(kind);
    }
  }

  clear(): void {
    this.hide(...this.#shown.keys());
  }

  dispose(): void {
    clearInterval(this.#timer);
    this.clear();
  }
}

/** Returns a `count` that says how much time is left until `end`, in milliseconds of the epoch. */
export function until(end: number): () => string {
  return () => `${clock((end - Date.now()) / 1000)} left`;
}

function draw({ mood, text, count, buttons = [] }: Notice): Shown {
  const counted = make("span", { class: "count", "aria-live": "off" });
  const update = (): void => void (counted.textContent = count?.() ?? "");
  update();
  const pressed = buttons.map(({ label, focus, press }) => {
    const button = make("button", { type: "button", ...(focus && { "data-focus": "" }) }, label);
    button.addEventListener("click", press);
    return button;
  });
  const words = make("p", mood === "bad" ? { role: "alert" } : {}, text);
  const right = make("div", { class: "right" }, counted, ...pressed);
  return { row: make("div", { class: "notice", "data-mood": mood }, words, right), update };
}
