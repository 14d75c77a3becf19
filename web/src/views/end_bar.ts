/** Shows, below a terminal whose session has ended, what a person can do next. */

import { make } from "../elements.ts";

export class EndBar {
  readonly element: HTMLElement;

  /** `again` is called when the person asks for another session. */
  constructor(label: string, again: () => void) {
    const button = make("button", {}, label);
    button.addEventListener("click", again);
    const mine = make("button", { type: "button", class: "quiet mine" }, "Your sessions");
    mine.addEventListener("click", () => document.getElementById("sessions")?.click());
    this.element = make("div", { class: "bar", hidden: "" }, button, mine, make("a", { href: "#/" }, "Another pod"));
  }

  /** `full`: no more sessions can be had, so those that there are are what to look at next. */
  show(full: boolean): void {
    this.element.hidden = false;
    this.element.toggleAttribute("data-full", full);
  }

  hide(): void {
    this.element.hidden = true;
  }
}
