/** Keeps what stands beside a shell, one panel at a time, and the buttons that open it. */

import { make } from "../elements.ts";
import type { SessionEvent } from "../events.ts";
import type { Disposable } from "../lifecycle.ts";
import type { Target } from "../protocol/target.ts";
import type { TabStatus } from "../status.ts";
import { LogPanel, type Panel } from "./log_panel.ts";

export interface Beside {
  /** What the shell was opened for. */
  readonly target: Target;
  readonly status: TabStatus;
  /** Gives the keyboard back to the terminal. */
  focus(): void;
  unauthorized(message: string): void;
}

export class ShellPanels implements Disposable {
  /** Holds the stage, and a panel right of it or below. */
  readonly element: HTMLElement;
  readonly #beside: Beside;
  #panel: Panel | undefined;
  #name = "";

  constructor(stage: HTMLElement, beside: Beside) {
    this.#beside = beside;
    this.element = make("div", { class: "halves" }, stage);
  }

  /** Takes what matters here: that the gateway has found the pod, and that the way to the gateway is there again. */
  hear(event: SessionEvent): void {
    const { namespace = "", pod = "", container } = event.type === "hello" ? event : {};
    if (pod) this.#found({ ...this.#beside.target, namespace, pod, container });
    if (event.type === "back") this.#panel?.back();
  }

  /** Offers the panels of a pod. */
  #found(target: Target): void {
    const open = (name: string, panel: () => Panel) => ({ name, press: () => this.#toggle(name, panel) });
    const { unauthorized } = this.#beside;
    this.#beside.status.tools([open("Logs", () => new LogPanel(target, () => this.#close(), unauthorized))]);
  }

  dispose(): void {
    this.#panel?.dispose();
    this.#panel = undefined;
  }

  #toggle(name: string, make: () => Panel): void {
    const open = this.#panel !== undefined && this.#name === name;
    this.dispose();
    if (open) return this.#beside.focus();
    this.#name = name;
    this.#panel = make();
    this.element.append(this.#panel.element);
    this.#panel.focus();
  }

  #close(): void {
    this.dispose();
    this.#beside.focus();
  }
}
