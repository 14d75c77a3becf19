/** Shows one shell of a tab; beside others, below a line that names it. */

import * as access from "../access.ts";
import { make } from "../elements.ts";
import { icon } from "../icons.ts";
import type { Area } from "../panes/layout.ts";
import { execPath, type Argv, type Target } from "../protocol/target.ts";
import { fragmentOf } from "../route.ts";
import { TabStatus, type Mood, type StatusLine } from "../status.ts";
import { formatName, fragmentWith, recordKey } from "../tab_list.ts";
import { showUptime } from "../uptime.ts";
import { describeTarget, shellWords, visible } from "../words.ts";
import type { Shell, ShellView } from "./shell.ts";

export type MakeShell = (host: HTMLElement, shell: Omit<Shell, "unauthorized">) => ShellView;

/** What a shell runs where. */
export interface Opened {
  readonly target: Target;
  readonly argv: Argv;
  /** Tells shells of one link from each other, from 1. */
  readonly number: number;
}

/** Characters that are shown of the title that a program has set. */
const LONGEST = 60;

export interface PaneEvents {
  /** The keyboard is here now. */
  focused(pane: Pane): void;
  /** The state of the shell is another. */
  changed(): void;
  /** There is new output. */
  active(): void;
  /** The person closes this pane. */
  close(pane: Pane): void;
  /** Returns true while the pane is the one to have the keyboard. */
  front(pane: Pane): boolean;
}

export function nameOf({ target, argv, number }: Opened): string {
  return formatName({ fragment: fragmentWith(fragmentOf(target), argv), number });
}

export class Pane {
  readonly opened: Opened;
  readonly name: string;
  readonly fragment: string;
  /** What runs here, for the strip; several of one pod have the same. */
  readonly title: string;
  readonly element: HTMLElement;
  readonly status: TabStatus;
  readonly view: ShellView;
  mood: Mood = "busy";
  /** State of the shell, and the title that a program has set. */
  said = "";
  /** Time at which the session was opened, in milliseconds of the epoch; undefined while none is open. */
  since: number | undefined;

  constructor(opened: Opened, line: StatusLine, makeShell: MakeShell, events: PaneEvents) {
    const { target, argv, number } = opened;
    this.opened = opened;
    this.name = nameOf(opened);
    this.fragment = fragmentWith(fragmentOf(target), argv);
    this.title = visible(argv.length > 0 ? `${target.pod}: ${shellWords(argv)}` : target.pod);
    const which = number > 1 ? ` (${number})` : "";
    const named = this.title + which;
    const [said, uptime] = [make("small"), make("span", { class: "uptime" })];
    let [state, title] = ["", ""];
    const say = (): void => {
      said.textContent = this.said = [state, title].filter(Boolean).join(" · ");
      events.changed();
    };
    const close = make("button", { type: "button", class: "iconic", "aria-label": `Close ${named}`, title: "Close" }, icon("close"));
    close.addEventListener("click", () => events.close(this));
    const head = make("div", { class: "pane-head dot" }, make("span", { class: "text", title: describeTarget(target) }, named), said, uptime, close);
    const body = make("div", { class: "pane-body" });
    this.element = make("section", { class: "pane", "aria-label": describeTarget(target) + which }, head, body);
    this.element.addEventListener("focusin", () => events.focused(this));
    this.status = new TabStatus(line, (mood, text) => {
      head.dataset["mood"] = this.mood = mood;
      state = text;
      say();
    }, ({ cluster, namespace }) => {
      void access.isProduction(cluster, namespace).then((careful) => head.toggleAttribute("data-production", careful));
    }, (time) => {
      this.since = time;
      showUptime(uptime, time);
      events.changed();
    });
    const key = recordKey(execPath(target, argv), number);
    this.view = makeShell(body, { target, argv, key, status: this.status, active: () => events.active(), front: () => events.front(this) });
    this.view.screen.terminal.onTitleChange((text) => {
      title = visible(text.slice(0, LONGEST));
      say();
    });
  }

  place({ left, top, width, height }: Area): void {
    const percent = (fraction: number): string => `${fraction * 100}%`;
    Object.assign(this.element.style, { left: percent(left), top: percent(top), width: percent(width), height: percent(height) });
  }

  /** True while the pane has something to come back to. */
  get wanted(): boolean {
    return this.view.live || this.view.elsewhere;
  }

  dispose(): void {
    this.view.dispose();
    this.element.remove();
  }
}
