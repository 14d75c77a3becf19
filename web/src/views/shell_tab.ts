/** Keeps the panes of one tab: a shell, or several side by side, of which one has the keyboard. */

import { confirmDialog } from "../dialogs.ts";
import { make } from "../elements.ts";
import { icon } from "../icons.ts";
import { Dividers, STEP } from "../panes/dividers.ts";
import { grow, moveBorder, moveDivider, neighbour, onlyPanes, place, splitPane, type Direction, type Layout, type Way } from "../panes/layout.ts";
import type { Mood, StatusLine } from "../status.ts";
import type { KeptTab } from "../tab_list.ts";
import { showUptime } from "../uptime.ts";
import { describeTarget, visible } from "../words.ts";
import { nameOf, Pane, type MakeShell, type Opened } from "./pane.ts";

/** The state of a tab is that of the pane that needs a person most. */
const WORST: readonly Mood[] = ["bad", "busy", "good", "ended", "none"];

export interface TabEvents {
  /** The panes, or which of them has the keyboard, are others now. */
  changed(): void;
  /** There is new output. */
  active(): void;
  /** The person closes the last pane. */
  emptied(): void;
  /** The person closes the tab in the strip. */
  close(): void;
}

export class ShellTab {
  /** Leads to the tab, in the strip. */
  readonly element: HTMLElement;
  readonly host = make("div", { class: "shell behind" });
  readonly #link = make("a");
  readonly #uptime = make("small", { class: "uptime" });
  readonly #close = make("button", { type: "button", class: "iconic" }, icon("close"));
  readonly #line: StatusLine;
  readonly #makeShell: MakeShell;
  readonly #events: TabEvents;
  readonly #panes = new Map<string, Pane>();
  readonly #dividers = new Dividers(this.host, (id, share) => this.#lay(moveDivider(this.#layout, id, share)));
  #layout: Layout = "";
  #focused: Pane | undefined;
  #shown = false;

  constructor(line: StatusLine, makeShell: MakeShell, events: TabEvents) {
    this.#line = line;
    this.#makeShell = makeShell;
    this.#events = events;
    this.element = make("div", { class: "tab", "data-mood": "busy" }, this.#link, this.#close);
    this.#close.addEventListener("click", () => events.close());
  }

  get layout(): Layout {
    return this.#layout;
  }

  get panes(): readonly Pane[] {
    return [...this.#panes.values()];
  }

  get focused(): Pane | undefined {
    return this.#focused;
  }

  get fragment(): string {
    return this.#focused?.fragment ?? "#/";
  }

  /** Opens these shells, divided as `layout` says. */
  open(shells: readonly Opened[], { layout, focused }: KeptTab): void {
    for (const shell of shells) this.#add(shell);
    this.#focused = this.#panes.get(focused) ?? this.panes[0];
    this.#lay(layout);
  }

  /** Opens a shell in half of the place that the focused one has. */
  split(opened: Opened, way: Way): void {
    if (!this.#focused) return;
    const layout = splitPane(this.#layout, this.#focused.name, nameOf(opened), way);
    const pane = this.#add(opened);
    this.#lay(layout);
    this.focus(pane);
  }

  show(): void {
    this.#shown = true;
    this.host.classList.remove("behind");
    this.element.removeAttribute("data-active");
    this.#focused?.status.show();
  }

  hide(): void {
    this.#shown = false;
    this.host.classList.add("behind");
    this.#focused?.status.hide();
  }

  /** Gives a pane the keyboard: the one that had it, if none is named. */
  focus(pane = this.#focused): void {
    if (!pane) return;
    this.#attend(pane);
    pane.view.focus();
  }

  focusNext(direction: Direction): void {
    const name = neighbour(this.#layout, this.#focused?.name ?? "", direction);
    if (name !== undefined) this.focus(this.#panes.get(name));
  }

  /** Gives the next pane the keyboard, after the last one the first. */
  focusAfter(): void {
    const { panes } = this;
    this.focus(panes[(panes.findIndex((each) => each === this.#focused) + 1) % panes.length]);
  }

  /** Gives the focused pane more of the place, or less. */
  resize(sign: 1 | -1): void {
    this.#lay(grow(this.#layout, this.#focused?.name ?? "", sign * STEP));
  }

  /** Moves a border of the focused pane in a direction. */
  moveBorder(direction: Direction): void {
    this.#lay(moveBorder(this.#layout, this.#focused?.name ?? "", direction, STEP));
  }

  /** Closes a pane, or asks first if its shell lives. */
  close(pane = this.#focused): void {
    pane?.view.end(() => this.remove(pane));
  }

  /** Closes all panes, or asks first if shells in them live; then calls `closed`. */
  closeAll(closed: () => void): void {
    const live = this.panes.filter(({ view }) => view.live);
    if (this.#panes.size === 1) return this.#focused?.view.end(closed);
    const end = (): void => {
      for (const { view } of this.panes) view.finish();
      closed();
    };
    if (live.length === 0) end();
    else confirmDialog(`Close this tab, and end ${live.length === 1 ? "the shell" : `all ${live.length} shells`} in it?`, [], "End and close", end);
  }

  /** Takes a pane out of the tab, and leaves its shell. */
  remove(pane: Pane): void {
    const rest = onlyPanes(this.#layout, (name) => name !== pane.name);
    if (rest === undefined) return this.#events.emptied();
    const next = (["left", "up", "right", "down"] as const).map((each) => neighbour(this.#layout, pane.name, each)).find(Boolean);
    this.#panes.delete(pane.name);
    const had = this.#focused === pane;
    if (had) this.#attend(this.#panes.get(next ?? "") ?? this.panes[0]);
    pane.dispose();
    this.#lay(rest);
    if (had && this.#shown) this.focus();
  }

  dispose(): void {
    for (const pane of this.panes) pane.dispose();
    this.host.remove();
  }

  #add(opened: Opened): Pane {
    const pane = new Pane(opened, this.#line, this.#makeShell, {
      focused: (one) => this.#attend(one),
      changed: () => this.#draw(),
      active: () => this.#events.active(),
      close: (one) => this.close(one),
      front: (one) => this.#shown && this.#focused === one,
    });
    this.#panes.set(pane.name, pane);
    this.host.append(pane.element);
    return pane;
  }

  /** Has the line at the top and the strip speak of this pane. */
  #attend(pane: Pane | undefined): void {
    if (!pane || this.#focused === pane) return;
    if (this.#shown) this.#focused?.status.hide();
    this.#focused = pane;
    if (this.#shown) pane.status.show();
    this.#draw();
    this.#events.changed();
  }

  #lay(layout: Layout): void {
    this.#layout = layout;
    const { panes, dividers } = place(layout);
    for (const [name, area] of panes) this.#panes.get(name)?.place(area);
    this.#dividers.show(dividers);
    this.host.toggleAttribute("data-split", panes.size > 1);
    this.#draw();
    this.#events.changed();
  }

  #draw(): void {
    const pane = this.#focused;
    if (!pane) return;
    for (const each of this.panes) each.element.toggleAttribute("data-focused", each === pane);
    const others = this.#panes.size > 1 ? ` + ${this.#panes.size - 1}` : "";
    this.#link.href = pane.fragment;
    this.#link.replaceChildren(make("span", { class: "text" }, pane.title + others), make("small", {}, visible(pane.opened.target.namespace)), this.#uptime);
    showUptime(this.#uptime, pane.since);
    this.#close.setAttribute("aria-label", `Close ${pane.title}${others}`);
    const worst = [...this.panes].sort((one, two) => WORST.indexOf(one.mood) - WORST.indexOf(two.mood))[0] ?? pane;
    this.element.dataset["mood"] = worst.mood;
    this.element.title = `${describeTarget(worst.opened.target)}: ${worst.said}`;
  }
}
