/** Draws the lines between panes, which a person moves with the mouse, a finger or the arrow keys. */

import { make } from "../elements.ts";
import type { Divider } from "./layout.ts";

/** How far an arrow key moves a divider. */
export const STEP = 0.05;

const STEPS: Readonly<Record<string, number>> = { ArrowLeft: -STEP, ArrowUp: -STEP, ArrowRight: STEP, ArrowDown: STEP };

export class Dividers {
  readonly #host: HTMLElement;
  readonly #move: (id: string, share: number) => void;
  readonly #drawn = new Map<string, HTMLElement>();
  /** What each divider divides now: its element outlives a change of the layout, so that a drag goes on. */
  readonly #dividers = new Map<string, Divider>();

  /** `move` is called with the share that the first part should have. */
  constructor(host: HTMLElement, move: (id: string, share: number) => void) {
    this.#host = host;
    this.#move = move;
  }

  show(dividers: readonly Divider[]): void {
    const ids = new Set(dividers.map(({ id }) => id));
    for (const [id, element] of this.#drawn) {
      if (ids.has(id)) continue;
      element.remove();
      this.#drawn.delete(id);
    }
    for (const divider of dividers) this.#place(divider);
  }

  #place(divider: Divider): void {
    const { id, area, split } = divider;
    this.#dividers.set(id, divider);
    const element = this.#drawn.get(id) ?? this.#make(id);
    const beside = split.way === "right";
    element.setAttribute("aria-orientation", beside ? "vertical" : "horizontal");
    element.setAttribute("aria-valuenow", `${Math.round(split.share * 100)}`);
    const percent = (fraction: number): string => `${fraction * 100}%`;
    Object.assign(element.style, {
      left: percent(beside ? area.left + area.width * split.share : area.left),
      top: percent(beside ? area.top : area.top + area.height * split.share),
      width: beside ? "" : percent(area.width),
      height: beside ? percent(area.height) : "",
    });
  }

  #make(id: string): HTMLElement {
    const element = make("div", { class: "divider", role: "separator", tabindex: "0", "aria-label": "Border between shells", "aria-valuemin": "10", "aria-valuemax": "90" });
    element.addEventListener("pointerdown", (event) => {
      event.preventDefault();
      element.setPointerCapture(event.pointerId);
    });
    element.addEventListener("pointermove", (event) => element.hasPointerCapture(event.pointerId) && this.#dragged(id, event));
    element.addEventListener("keydown", (event) => {
      const step = STEPS[event.key];
      const divider = this.#dividers.get(id);
      if (step === undefined || !divider) return;
      event.preventDefault();
      this.#move(id, divider.split.share + step);
    });
    this.#drawn.set(id, element);
    this.#host.append(element);
    return element;
  }

  #dragged(id: string, { clientX, clientY }: PointerEvent): void {
    const divider = this.#dividers.get(id);
    if (!divider) return;
    const { area, split } = divider;
    const whole = this.#host.getBoundingClientRect();
    const across = (clientX - whole.left) / whole.width;
    const down = (clientY - whole.top) / whole.height;
    this.#move(id, split.way === "right" ? (across - area.left) / area.width : (down - area.top) / area.height);
  }
}
