/** The line above the terminal: where one is, how it stands, how large it is. */

import { part } from "./elements.ts";
import type { Size } from "./protocol/messages.ts";
import type { Target } from "./protocol/target.ts";

export type Mood = "none" | "busy" | "good" | "ended" | "bad";

export class StatusLine {
  readonly #place = part("place");
  readonly #state = part("state");
  readonly #size = part("size");

  /** The pod is marked: it is the name one looks for. */
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
    document.title = `${pod} · ${namespace} · dap`;
  }

  state(mood: Mood, text: string): void {
    this.#state.dataset["mood"] = mood;
    this.#state.textContent = text;
  }

  size({ columns, rows }: Size): void {
    this.#size.textContent = `${columns}×${rows}`;
  }

  clear(): void {
    this.#place.replaceChildren();
    this.#size.textContent = "";
    this.state("none", "");
    document.title = "dap";
  }
}
