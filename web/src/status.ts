/** The line above the terminal: where one is, how it stands, how large it is. */

import { part } from "./elements.ts";
import type { Size } from "./protocol/messages.ts";
import type { Target } from "./protocol/target.ts";
import { duration } from "./words.ts";

export type Mood = "none" | "busy" | "good" | "ended" | "bad";

export class StatusLine {
  readonly #who = part("who");
  readonly #place = part("place");
  readonly #state = part("state");
  readonly #size = part("size");
  readonly #kept = part("kept");
  readonly #end = part("end");
  readonly #signOut = part("signout");

  /** Whose link it was: what is done here is done in that name. */
  who(name: string): void {
    this.#who.textContent = name;
    this.#who.title = name && `signed in as ${name}`;
  }

  /** What the button does; undefined hides it. */
  signOut(press: (() => void) | undefined): void {
    this.#signOut.hidden = press === undefined;
    this.#signOut.onclick = press ?? null;
  }

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
    document.title = [pod, ...(namespace ? [namespace] : []), "dap"].join(" · ");
  }

  state(mood: Mood, text: string): void {
    this.#state.dataset["mood"] = mood;
    this.#state.textContent = text;
  }

  size({ columns, rows }: Size): void {
    this.#size.textContent = `${columns}×${rows}`;
  }

  /** For how many seconds the session outlives its connection; undefined hides it, and the button that ends it. */
  kept(seconds: number | undefined, what = "", end = (): void => {}): void {
    this.#kept.hidden = this.#end.hidden = seconds === undefined;
    if (seconds === undefined) return;
    const time = duration(seconds);
    this.#kept.textContent = `kept ${time}`;
    this.#kept.title = `When the connection is lost, or this tab is closed, the ${what} is kept for ${time}.`;
    this.#end.title = `End the ${what}, and what runs in it`;
    this.#end.onclick = end;
  }

  clear(): void {
    this.kept(undefined);
    this.#place.replaceChildren();
    this.#size.textContent = "";
    this.state("none", "");
    document.title = "dap";
  }
}
