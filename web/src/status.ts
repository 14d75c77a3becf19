/** Shows the line above the terminal: the pod, the state of the session, the size of the terminal. */

import * as access from "./access.ts";
import { make, part } from "./elements.ts";
import type { Size } from "./protocol/messages.ts";
import type { Target } from "./protocol/target.ts";
import { showUptime } from "./uptime.ts";
import { duration } from "./words.ts";

export type Mood = "none" | "busy" | "good" | "ended" | "bad";

export interface Tool {
  readonly name: string;
  readonly open: boolean;
  press(): void;
}

export class StatusLine {
  readonly #who = part("who");
  readonly #place = part("place");
  readonly #state = part("state");
  readonly #size = part("size");
  readonly #kept = part("kept");
  readonly #end = part("end");
  readonly #signOut = part("signout");
  readonly #sessions = part("sessions");
  readonly #pulse = part("pulse");
  readonly #uptime = part("uptime");
  readonly #head = part("head");
  readonly #tools = part("tools");
  #target: Target | undefined;

  /** Shows the identity in whose name this page acts; an empty name hides the field. */
  who(name: string): void {
    this.#who.textContent = name;
    this.#who.title = name && `signed in as ${name}`;
  }

  /** Shows the button that signs out, which calls `press`; undefined hides the button. */
  signOut(press: (() => void) | undefined): void {
    this.#signOut.hidden = press === undefined;
    this.#signOut.onclick = press ?? null;
  }

  /** Shows the button that lists sessions, which calls `press`; undefined hides the button. */
  sessions(press: (() => void) | undefined): void {
    this.#sessions.hidden = press === undefined;
    this.#sessions.onclick = press ?? null;
  }

  /** Shows how long the gateway took to answer; undefined while nobody knows. */
  pulse(milliseconds: number | undefined): void {
    this.#pulse.textContent = milliseconds === undefined ? "" : `${Math.max(1, Math.round(milliseconds))} ms`;
  }

  /** Shows for how long the session has been open, from `time` on in milliseconds of the epoch; undefined hides it. */
  opened(time: number | undefined): void {
    showUptime(this.#uptime, time);
  }

  /** Shows the target's names, with the pod in bold as the name that a person looks for, and sets the page's title. */
  target({ cluster, namespace, pod, container }: Target): void {
    const names = { cluster, namespace, pod, container };
    this.#place.replaceChildren(
      ...Object.entries(names).flatMap(([kind, name]) => {
        if (!name) return [];
        const element = document.createElement(kind === "pod" ? "strong" : "span");
        element.title = `${kind}: ${name}`;
        element.textContent = name;
        return [element];
      }),
    );
    void this.#warn({ cluster, namespace, pod, container });
    document.title = [pod, ...(namespace ? [namespace] : []), "dap"].join(" · ");
  }

  /** `more`: what is told of the state to who points at it. */
  state(mood: Mood, text: string, more = ""): void {
    this.#state.title = more;
    this.#state.dataset["mood"] = mood;
    this.#state.textContent = text;
  }

  size({ columns, rows }: Size): void {
    this.#size.textContent = `${columns}×${rows}`;
  }

  /** Shows how long the session outlives its connection, and a button that calls `end`; undefined hides both. */
  kept(seconds: number | undefined, what = "", end = (): void => {}): void {
    this.#kept.hidden = this.#end.hidden = seconds === undefined;
    if (seconds === undefined) return;
    const time = duration(seconds);
    this.#kept.textContent = `kept ${time}`;
    this.#kept.title = `When the connection is lost, or this tab is closed, the ${what} is kept for ${time}.`;
    this.#end.title = `End the ${what}, and what runs in it`;
    this.#end.onclick = end;
  }

  /** Shows buttons for what can stand beside the shell. */
  tools(tools: readonly Tool[]): void {
    this.#tools.replaceChildren(...tools.map(({ name, open, press }) => {
      const button = make("button", { type: "button", class: "plain", "aria-pressed": `${open}` }, name);
      button.addEventListener("click", press);
      return button;
    }));
  }

  /** Makes the head red in production. */
  async #warn(target: Target): Promise<void> {
    this.#target = target;
    const careful = await access.isProduction(target.cluster, target.namespace);
    if (this.#target === target) this.#head.toggleAttribute("data-production", careful);
  }

  clear(): void {
    this.#target = undefined;
    this.#head.removeAttribute("data-production");
    this.kept(undefined);
    this.tools([]);
    this.pulse(undefined);
    this.opened(undefined);
    this.#place.replaceChildren();
    this.#size.textContent = "";
    this.state("none", "");
    document.title = "dap";
  }
}

/** What the line says of one shell, which it shows while the shell is shown. */
export class TabStatus {
  readonly #line: StatusLine;
  readonly #changed: (mood: Mood, text: string) => void;
  readonly #targeted: (target: Target) => void;
  readonly #opened: (time: number | undefined) => void;
  /** What was said last of each kind. */
  readonly #said = new Map<keyof TabStatus, () => void>();
  #shown = false;

  /** `changed` hears each change of the state, shown or not, `targeted` each change of the target, and `opened` when the
   * session was opened.
   */
  constructor(line: StatusLine, changed: (mood: Mood, text: string) => void, targeted: (target: Target) => void, opened: (time: number | undefined) => void) {
    this.#line = line;
    this.#changed = changed;
    this.#targeted = targeted;
    this.#opened = opened;
  }

  show(): void {
    this.#shown = true;
    for (const say of this.#said.values()) say();
  }

  hide(): void {
    this.#shown = false;
    this.#line.clear();
  }

  target(target: Target): void {
    this.#targeted(target);
    this.#say("target", () => this.#line.target(target));
  }

  state(mood: Mood, text: string, more = ""): void {
    this.#changed(mood, text);
    this.#say("state", () => this.#line.state(mood, text, more));
  }

  size(size: Size): void {
    this.#say("size", () => this.#line.size(size));
  }

  pulse(milliseconds: number | undefined): void {
    this.#say("pulse", () => this.#line.pulse(milliseconds));
  }

  opened(time: number | undefined): void {
    this.#opened(time);
    this.#say("opened", () => this.#line.opened(time));
  }

  kept(seconds: number | undefined, what = "", end = (): void => {}): void {
    this.#say("kept", () => this.#line.kept(seconds, what, end));
  }

  tools(tools: readonly Tool[]): void {
    this.#say("tools", () => this.#line.tools(tools));
  }

  #say(kind: keyof TabStatus, say: () => void): void {
    this.#said.set(kind, say);
    if (this.#shown) say();
  }
}
