/** Shows a container's log beside its shell: follows it, searches in it, and says what came between. */

import * as access from "../access.ts";
import { make } from "../elements.ts";
import { icon } from "../icons.ts";
import type { Disposable } from "../lifecycle.ts";
import { containersOf } from "../lists/containers.ts";
import { isSearch } from "../keys.ts";
import { LogFollow, type LogState } from "../logs/follow.ts";
import type { Target } from "../protocol/target.ts";
import { visible } from "../words.ts";
import { LogLines } from "./log_lines.ts";
import { describeLog } from "./log_words.ts";

/** Milliseconds between two updates of a countdown. */
const TICK = 1000;

export interface Panel extends Disposable {
  readonly element: HTMLElement;
  focus(): void;
  /** Hears that the way to the gateway is there again after a loss. */
  back(): void;
}

export interface LogPanelEvents {
  /** The person closes the panel. */
  close(): void;
  /** The person has chosen a container. */
  chosen(container: string): void;
  unauthorized(message: string): void;
}

export class LogPanel implements Panel {
  readonly element: HTMLElement;
  readonly #target: Target;
  readonly #unauthorized: (message: string) => void;
  readonly #lines = new LogLines();
  readonly #container = make("select", { "aria-label": "Container" });
  readonly #previous = make("input", { type: "checkbox" });
  readonly #follow = make("button", { type: "button", class: "quiet" }, "Pause");
  readonly #state = make("p", { class: "state", role: "status" });
  readonly #timer = setInterval(() => this.#say(), TICK);
  readonly #seen: IntersectionObserver;
  /** Done once the container is known, which the shell may not have been told. */
  readonly #listed: Promise<void>;
  #reading: LogFollow | undefined;
  #said: LogState = { name: "asking" };
  /** True while the person has paused; a panel that nobody sees reads nothing either. */
  #paused = false;

  /** `target` names a pod and, of a pod with several, a container. */
  constructor(target: Target, { close, chosen, unauthorized }: LogPanelEvents) {
    this.#target = target;
    this.#unauthorized = unauthorized;
    this.#container.append(make("option", {}, target.container ?? ""));
    const shut = make("button", { type: "button", class: "quiet iconic", "aria-label": "Close the logs", title: "Close the logs" }, icon("close"));
    shut.addEventListener("click", close);
    const wrap = make("input", { type: "checkbox", checked: "" });
    wrap.addEventListener("change", () => this.#lines.wrap(wrap.checked));
    const [previous, wraps] = ([[this.#previous, "Previous run"], [wrap, "Wrap"]] as const).map(([box, words]) => make("label", {}, box, ` ${words}`));
    const tools = make("div", { class: "tools" }, this.#container, previous ?? "", wraps ?? "", this.#lines.search, this.#follow, shut);
    this.element = make("section", { class: "panel logs", "aria-label": `Logs of ${target.pod}` }, tools, this.#lines.element, this.#state);
    this.element.addEventListener("keydown", (event) => {
      if (isSearch(event)) {
        event.preventDefault();
        this.#lines.find();
      } else if (event.key === "Escape" && !event.defaultPrevented) close();
    });
    for (const choice of [this.#container, this.#previous]) choice.addEventListener("change", () => this.#begin());
    this.#container.addEventListener("change", () => chosen(this.#container.value));
    this.#follow.addEventListener("click", () => this.#toggle());
    this.#seen = new IntersectionObserver((entries) => this.#shown(entries.at(-1)?.isIntersecting ?? false));
    this.#seen.observe(this.element);
    const listed = this.#list();
    this.#listed = target.container ? Promise.resolve() : listed;
  }

  focus(): void {
    this.#lines.element.focus();
  }

  back(): void {
    if (this.#said.name === "lost" || this.#said.name === "following") this.#reading?.resume();
  }

  dispose(): void {
    clearInterval(this.#timer);
    this.#seen.disconnect();
    this.#reading?.dispose();
    this.element.remove();
  }

  /** Begins with another log: of another container, or another run. */
  #begin(): void {
    if (!this.element.isConnected) return;
    const { cluster, namespace, pod } = this.#target;
    const container = this.#container.value;
    this.#reading?.dispose();
    this.#lines.clear();
    this.#paused = false;
    this.#reading = new LogFollow((query, signal) => access.log({ cluster, namespace, pod, container }, query, signal), this.#previous.checked, {
      lines: (lines) => this.#lines.add(lines),
      state: (state) => this.#heard(state),
    });
  }

  #heard(state: LogState): void {
    this.#said = state;
    if (state.name === "refused" && state.why.status === 401) return this.#unauthorized(state.why.message);
    const goes = state.name !== "paused" && state.name !== "refused" && state.name !== "whole";
    this.#follow.textContent = goes ? "Pause" : "Follow";
    this.#follow.hidden = state.name === "whole";
    this.element.dataset["state"] = state.name;
    this.#say();
  }

  #say(): void {
    const text = describeLog(this.#said, this.#lines, this.#previous.checked);
    if (this.#state.textContent !== text) this.#state.textContent = text;
  }

  #toggle(): void {
    this.#paused = this.#follow.textContent === "Pause";
    if (this.#paused) return this.#reading?.pause();
    this.#lines.toEnd();
    this.#reading?.resume();
  }

  /** A browser has few connections to a host: a panel behind others gives its own back. */
  #shown(shown: boolean): void {
    if (!this.#reading) {
      if (shown) void this.#listed.then(() => this.#reading ?? this.#begin());
    } else if (!this.#paused && this.#said.name !== "whole" && this.#said.name !== "refused") {
      if (shown) this.#reading.resume();
      else this.#reading.pause();
    }
  }

  /** Offers the pod's other containers. */
  async #list(): Promise<void> {
    const answer = await access.pod(this.#target.cluster, this.#target.namespace, this.#target.pod);
    const names = answer.type === "ok" ? containersOf(answer.value) : [];
    if (!this.#target.container && names.length > 0) this.#container.replaceChildren(); // the first is the default
    for (const { name, role } of names) {
      if (name === this.#target.container) continue;
      this.#container.append(make("option", { value: name }, role === "main" ? visible(name) : `${visible(name)} (${role})`));
    }
  }
}
