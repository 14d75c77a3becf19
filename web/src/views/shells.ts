/** Keeps the open shells of this page, one shown at a time, and a strip that leads to each. */

import { make } from "../elements.ts";
import { icon } from "../icons.ts";
import { fragmentOf } from "../route.ts";
import { TabStatus, type StatusLine } from "../status.ts";
import * as openTabs from "../tab_list.ts";
import { describeTarget, shellWords, visible } from "../words.ts";
import { execPath, type Argv, type Target } from "../protocol/target.ts";
import type { ShellView } from "./shell.ts";

/** Shells that are open at once: browsers draw about 16 terminals with WebGL, and each keeps its lines in memory. */
export const MOST = 16;

/** Milliseconds after which output behind is news. */
const SETTLED = 1000;

interface Tab {
  readonly fragment: string;
  readonly host: HTMLElement;
  readonly status: TabStatus;
  readonly element: HTMLElement;
  readonly view: ShellView;
}

export type MakeShell = (host: HTMLElement, status: TabStatus, target: Target, argv: Argv, active: () => void) => ShellView;

export class Shells {
  readonly #place: HTMLElement;
  readonly #strip: HTMLElement;
  readonly #status: StatusLine;
  readonly #tabs = new Map<string, Tab>();
  #shown: Tab | undefined;
  /** Until then output may be a shell's answer to the size that it got when the strip came or went. */
  #settled = 0;

  /** `place` holds the terminals, `strip` what leads to them. */
  constructor(place: HTMLElement, strip: HTMLElement, status: StatusLine) {
    this.#place = place;
    this.#strip = strip;
    this.#status = status;
  }

  /** The shell that is shown; undefined while another view is. */
  get shown(): ShellView | undefined {
    return this.#shown?.view;
  }

  get full(): boolean {
    return this.#tabs.size >= MOST;
  }

  /** Counts the shells that have not ended. */
  get live(): number {
    return [...this.#tabs.values()].filter(({ view }) => view.live).length;
  }

  has(path: string): boolean {
    return this.#tabs.has(path);
  }

  /** Shows the shell of a path, which is open. */
  show(path: string): void {
    const tab = this.#tabs.get(path);
    if (!tab) return;
    this.hide();
    this.#shown = tab;
    for (const element of [this.#place, tab.host]) element.classList.remove("behind");
    tab.element.removeAttribute("data-active");
    tab.status.show();
    this.#draw();
    tab.view.focus();
  }

  /** Opens a shell, in front or behind. */
  open(target: Target, argv: Argv, makeShell: MakeShell, { behind = false } = {}): void {
    const path = execPath(target, argv);
    const fragment = openTabs.fragmentWith(fragmentOf(target), argv);
    const host = make("div", { class: "shell behind" });
    const element = this.#element(path, fragment, target, argv);
    const status = new TabStatus(this.#status, (mood, text) => {
      element.dataset["mood"] = mood;
      element.title = `${describeTarget(target)}: ${text}`;
    });
    this.#place.append(host);
    const view = makeShell(host, status, target, argv, () => {
      if (this.#shown?.host !== host && performance.now() > this.#settled) element.dataset["active"] = "";
    });
    this.#tabs.set(path, { fragment, host, status, element, view });
    if (behind) this.#draw();
    else this.show(path);
    this.#keep();
  }

  /** Hides the shells: another view is shown. One that has ended is closed. */
  hide(): void {
    const tab = this.#shown;
    this.#shown = undefined;
    this.#place.classList.add("behind");
    if (!tab) return;
    tab.host.classList.add("behind");
    tab.status.hide();
    if (!tab.view.live && !tab.view.elsewhere) this.#remove(tab);
    this.#draw();
  }

  /** Closes the shell that is shown, or asks first if it lives; `closed` is called with the fragment of the next one. */
  close(path: string): void {
    const tab = this.#tabs.get(path);
    tab?.view.end(() => {
      const order = [...this.#tabs.values()];
      const at = order.indexOf(tab);
      const next = order[at + 1] ?? order[at - 1];
      const shown = tab === this.#shown;
      if (shown) this.#shown = undefined;
      this.#remove(tab);
      this.#draw();
      if (shown) location.hash = next?.fragment ?? "#/";
    });
  }

  /** Returns the fragment of the shell so many places after the one that is shown. */
  next(by: number): string | undefined {
    const order = [...this.#tabs.values()];
    const at = this.#shown ? order.indexOf(this.#shown) : by > 0 ? -1 : 0;
    return order[(at + by + order.length) % order.length]?.fragment;
  }

  /** Leaves all shells: what the gateway keeps can be gone on with. */
  leave(): void {
    this.#shown?.status.hide();
    this.#shown = undefined;
    this.#place.classList.add("behind");
    for (const tab of [...this.#tabs.values()]) this.#remove(tab);
    this.#draw();
  }

  #remove(tab: Tab): void {
    tab.view.dispose();
    tab.host.remove();
    for (const [path, each] of this.#tabs) if (each === tab) this.#tabs.delete(path);
    this.#keep();
  }

  #keep(): void {
    openTabs.keepTabs([...this.#tabs.values()].map(({ fragment }) => fragment));
  }

  #draw(): void {
    this.#settled = performance.now() + SETTLED;
    const tabs = [...this.#tabs.values()];
    // one shell that is shown needs nothing that leads to it
    this.#strip.hidden = tabs.length === 0 || (tabs.length === 1 && this.#shown !== undefined);
    for (const { element } of tabs) element.querySelector("a")?.removeAttribute("aria-current");
    this.#shown?.element.querySelector("a")?.setAttribute("aria-current", "page");
    const list = make("a", { href: "#/", class: "all", ...(!this.#shown && { "aria-current": "page" }) }, "All pods");
    this.#strip.replaceChildren(list, ...tabs.map(({ element }) => element));
    this.#shown?.element.scrollIntoView({ block: "nearest", inline: "nearest" });
  }

  #element(path: string, fragment: string, target: Target, argv: Argv): HTMLElement {
    const name = argv.length > 0 ? `${target.pod}: ${shellWords(argv)}` : target.pod;
    const link = make("a", { href: fragment }, make("span", { class: "text" }, visible(name)), make("small", {}, visible(target.namespace)));
    const close = make("button", { type: "button", class: "iconic", "aria-label": `Close ${visible(name)}` }, icon("close"));
    close.addEventListener("click", () => {
      if (this.#shown?.fragment !== fragment) location.hash = fragment;
      requestAnimationFrame(() => this.close(path)); // the question is asked in the shell that it is about
    });
    return make("div", { class: "tab", "data-mood": "busy" }, link, close);
  }
}
