/** Keeps the open shells of this page, one tab of them shown at a time, and a strip that leads to each tab. */

import { openDialog } from "../dialogs.ts";
import { make } from "../elements.ts";
import { onlyPanes, type Way } from "../panes/layout.ts";
import { execPath, type Argv, type Target } from "../protocol/target.ts";
import { fragmentOf, parseFragment, replaceFragment } from "../route.ts";
import type { StatusLine } from "../status.ts";
import * as openTabs from "../tab_list.ts";
import { find } from "../tab_storage.ts";
import { followUptimes } from "../uptime.ts";
import { nameOf, type MakeShell, type Opened, type Pane } from "./pane.ts";
import type { ShellView } from "./shell.ts";
import { ShellTab } from "./shell_tab.ts";
import { touchBar } from "./touch_bar.ts";

/** Shells that are open at once: browsers draw about 16 terminals with WebGL, and each keeps its lines in memory. */
export const MOST = 16;

/** Milliseconds after which output behind is news. */
const SETTLED = 1000;

export class Shells {
  readonly #place: HTMLElement;
  readonly #strip: HTMLElement;
  readonly #status: StatusLine;
  #tabs: ShellTab[] = [];
  #shown: ShellTab | undefined;
  /** Until then output may be a shell's answer to the size that it got when the strip came or went. */
  #settled = 0;

  /** `place` holds the terminals, `strip` what leads to them. */
  constructor(place: HTMLElement, strip: HTMLElement, status: StatusLine) {
    this.#place = place;
    this.#strip = strip;
    this.#status = status;
    document.body.append(touchBar(() => this.shown?.screen));
    followUptimes();
  }

  /** The tab that is shown; undefined while another view is. */
  get tab(): ShellTab | undefined {
    return this.#shown;
  }

  /** The shell that is shown and has the keyboard; undefined while another view is. */
  get shown(): ShellView | undefined {
    return this.#shown?.focused?.view;
  }

  get full(): boolean {
    return this.#panes.length >= MOST;
  }

  /** Counts the shells that have not ended. */
  get live(): number {
    return this.#panes.filter(({ view }) => view.live).length;
  }

  has(target: Target, argv: Argv): boolean {
    return this.#find(target, argv) !== undefined;
  }

  /** Shows a shell that is open: the one that has the keyboard in its tab, if it is of this link. */
  show(target: Target, argv: Argv): void {
    const found = this.#find(target, argv);
    if (!found) return;
    this.hide();
    const { tab, pane } = found;
    this.#shown = tab;
    this.#place.classList.remove("behind");
    tab.show();
    this.#draw();
    tab.focus(tab.focused?.fragment === pane.fragment ? tab.focused : pane);
  }

  /** Opens a shell in front, in a tab of its own. */
  open(target: Target, argv: Argv, makeShell: MakeShell): void {
    const shell = { target, argv, number: 1 };
    this.#add([shell], { layout: nameOf(shell), focused: nameOf(shell) }, makeShell);
    this.show(target, argv);
  }

  /** Opens a shell beside the one that has the keyboard, unless too many are open. */
  split(way: Way, target: Target, argv: Argv): void {
    if (this.full) return void openDialog(`At most ${MOST} shells can be open in one page`, [make("p", {}, "Close one first, or open another page.")]);
    const names = new Set(this.#panes.map(({ name }) => name));
    let number = 1;
    while (names.has(nameOf({ target, argv, number }))) number += 1;
    this.#shown?.split({ target, argv, number }, way);
  }

  /** Opens a tab again that the page had before a reload, behind: of its shells those that the gateway has kept. */
  reopen({ layout, focused }: openTabs.KeptTab, makeShell: MakeShell): void {
    const known = new Map(this.#panes.map((pane) => [pane.name, pane.opened]));
    const shells: Opened[] = [];
    const stays = (name: string): boolean => {
      const { fragment, number } = openTabs.parseName(name);
      const route = parseFragment(fragment.slice(1));
      if (known.has(name) || route.type !== "exec" || known.size >= MOST) return false;
      const { target, argv } = route;
      if (find(openTabs.recordKey(execPath(target, argv), number)) === undefined) return false;
      const shell = { target, argv, number };
      known.set(name, shell);
      shells.push(shell);
      return nameOf(shell) === name;
    };
    const rest = onlyPanes(layout, stays);
    if (rest === undefined) return;
    this.#add(shells, { layout: rest, focused }, makeShell);
    requestAnimationFrame(() => this.#draw()); // one that is shown until then needs no strip, and keeps its size
  }

  /** Hides the shells: another view is shown. A tab in which nothing lives is closed. */
  hide(): void {
    const tab = this.#shown;
    this.#shown = undefined;
    this.#place.classList.add("behind");
    if (!tab) return;
    tab.hide();
    if (!tab.panes.some(({ wanted }) => wanted)) this.#remove(tab);
    this.#draw();
  }

  /** Returns the fragment of the tab so many places after the one that is shown. */
  next(by: number): string | undefined {
    const at = this.#shown ? this.#tabs.indexOf(this.#shown) : by > 0 ? -1 : 0;
    return this.#tabs[(at + by + this.#tabs.length) % this.#tabs.length]?.fragment;
  }

  /** Leaves all shells: what the gateway keeps can be gone on with. */
  leave(): void {
    this.#shown?.hide();
    this.#shown = undefined;
    this.#place.classList.add("behind");
    for (const tab of this.#tabs) tab.dispose();
    this.#tabs = [];
    this.#keep();
    this.#draw();
  }

  /** Leaves the shells of one link: what the gateway keeps can be gone on with. */
  leaveOf(target: Target, argv: Argv): void {
    for (let found = this.#find(target, argv); found; found = this.#find(target, argv)) {
      if (found.tab.panes.length > 1) found.tab.remove(found.pane);
      else {
        if (found.tab === this.#shown) this.hide();
        this.#remove(found.tab);
      }
    }
    this.#draw();
  }

  get #panes(): Pane[] {
    return this.#tabs.flatMap(({ panes }) => panes);
  }

  #find(target: Target, argv: Argv): { tab: ShellTab; pane: Pane } | undefined {
    const fragment = openTabs.fragmentWith(fragmentOf(target), argv);
    for (const tab of this.#tabs) {
      const pane = tab.panes.find((each) => each.fragment === fragment);
      if (pane) return { tab, pane };
    }
    return undefined;
  }

  #add(shells: readonly Opened[], kept: openTabs.KeptTab, makeShell: MakeShell): void {
    const tab: ShellTab = new ShellTab(this.#status, makeShell, {
      changed: () => this.#changed(tab),
      active: () => {
        if (this.#shown !== tab && performance.now() > this.#settled) tab.element.dataset["active"] = "";
      },
      emptied: () => this.#closed(tab),
      close: () => this.#close(tab),
    });
    this.#place.append(tab.host);
    this.#tabs.push(tab);
    tab.open(shells, kept);
  }

  /** Closes a tab, or asks first, in the tab that the question is about. */
  #close(tab: ShellTab): void {
    if (this.#shown !== tab) location.hash = tab.fragment;
    requestAnimationFrame(() => tab.closeAll(() => this.#closed(tab)));
  }

  #closed(tab: ShellTab): void {
    const at = this.#tabs.indexOf(tab);
    const next = this.#tabs[at + 1] ?? this.#tabs[at - 1];
    const shown = tab === this.#shown;
    if (shown) this.#shown = undefined;
    this.#remove(tab);
    this.#draw();
    if (shown) location.hash = next?.fragment ?? "#/";
  }

  #remove(tab: ShellTab): void {
    tab.dispose();
    this.#tabs = this.#tabs.filter((each) => each !== tab);
    this.#keep();
  }

  /** Keeps how the tabs are divided, and puts the link of the shell with the keyboard into the address bar. */
  #changed(tab: ShellTab): void {
    this.#keep();
    if (tab !== this.#shown || location.hash === tab.fragment) return;
    replaceFragment(tab.fragment);
  }

  #keep(): void {
    openTabs.keepTabs(this.#tabs.map(({ layout, focused }) => ({ layout, focused: focused?.name ?? "" })));
  }

  #draw(): void {
    this.#settled = performance.now() + SETTLED;
    const [first] = this.#tabs;
    // one shell that is shown needs nothing that leads to it
    this.#strip.hidden = !first || (this.#tabs.length === 1 && this.#shown !== undefined);
    for (const { element } of this.#tabs) element.querySelector("a")?.removeAttribute("aria-current");
    this.#shown?.element.querySelector("a")?.setAttribute("aria-current", "page");
    const list = make("a", { href: "#/", class: "all", ...(!this.#shown && { "aria-current": "page" }) }, "All pods");
    this.#strip.replaceChildren(list, ...this.#tabs.map(({ element }) => element));
    this.#shown?.element.scrollIntoView({ block: "nearest", inline: "nearest" });
  }
}
