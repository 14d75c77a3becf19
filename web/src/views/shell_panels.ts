/** Keeps what stands beside a shell, one panel at a time, and the buttons that open it. */

import { make } from "../elements.ts";
import type { SessionEvent } from "../events.ts";
import type { Disposable } from "../lifecycle.ts";
import { keepPanel, keptPanel } from "../panel_storage.ts";
import type { Target } from "../protocol/target.ts";
import type { TabStatus } from "../status.ts";
import { takeDropped } from "./dropping.ts";
import { FilePanel } from "./file_panel.ts";
import { LogPanel, type Panel } from "./log_panel.ts";

export interface Beside {
  /** What the shell was opened for. */
  readonly target: Target;
  /** Names the shell's session in this tab's storage. */
  readonly key: string;
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
  /** What makes each panel. */
  #panels: Readonly<Record<string, (container: string) => Panel | undefined>> = {};
  /** What stood here before a reload, until it is open again. */
  #before: ReturnType<typeof keptPanel>;
  /** Lives on while it is closed: files may be on their way. */
  #files: FilePanel | undefined;

  constructor(stage: HTMLElement, beside: Beside) {
    this.#beside = beside;
    this.#before = keptPanel(beside.key);
    this.element = make("div", { class: "halves" }, stage);
    takeDropped(this.element, () => this.#files !== undefined, (dropped) => {
      if (this.#panel !== this.#files) this.#toggle("Files");
      this.#files?.take(dropped);
    });
  }

  /** Takes what matters here: that the gateway has found the pod, and that the way to the gateway is there again. */
  hear(event: SessionEvent): void {
    const { namespace = "", pod = "", container } = event.type === "hello" ? event : {};
    if (pod) this.#found({ ...this.#beside.target, namespace, pod, container });
    if (event.type === "back") this.#panel?.back();
  }

  /** Offers the panels of a pod. */
  #found(target: Target): void {
    if (this.#files && !this.#files.isOf(target)) {
      if (this.#panel === this.#files) this.#hide();
      this.#files.end();
      this.#files = undefined;
    }
    this.#files ??= new FilePanel(target, () => this.#close(), this.#beside.unauthorized);
    this.#panels = {
      Logs: (container) => new LogPanel({ ...target, container: container || target.container }, {
        close: () => this.#close(),
        chosen: (other) => this.#keep(other),
        unauthorized: this.#beside.unauthorized,
      }),
      Files: () => this.#files,
    };
    const before = this.#before;
    this.#before = undefined;
    if (before && !this.#panel) this.#show(before.name, before.container);
    this.#offer();
  }

  #offer(): void {
    this.#beside.status.tools(Object.keys(this.#panels).map((name) => ({
      name,
      open: this.#panel !== undefined && this.#name === name,
      press: () => this.#toggle(name),
    })));
  }

  dispose(): void {
    this.#hide();
    this.#files?.end();
    keepPanel(this.#beside.key, undefined);
  }

  #keep(container: string): void {
    keepPanel(this.#beside.key, { name: this.#name, container });
  }

  #show(name: string, container = ""): void {
    this.#name = name;
    this.#panel = this.#panels[name]?.(container);
    if (this.#panel) this.element.append(this.#panel.element);
    this.#keep(container);
  }

  #hide(): void {
    this.#panel?.dispose();
    this.#panel = undefined;
  }

  #toggle(name: string): void {
    if (this.#panel && this.#name === name) return this.#close();
    this.#hide();
    this.#show(name);
    this.#panel?.focus();
    this.#offer();
  }

  #close(): void {
    this.#hide();
    keepPanel(this.#beside.key, undefined);
    this.#offer();
    this.#beside.focus();
  }
}
