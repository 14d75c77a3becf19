/** Tells a person what a session that is being opened waits for: a word in the status line, and times where it takes long. */

import type { SessionEvent } from "../events.ts";
import type { Disposable } from "../lifecycle.ts";
import { Phases } from "../phases.ts";
import type { TabStatus } from "../status.ts";
import { visible } from "../words.ts";
import type { LiveNotices } from "./live_notices.ts";

/** Milliseconds before a bar shows the phases: a warm chain is open by then. */
const PATIENCE = 1000;
const NAMES: Readonly<Record<string, string>> = { ssh: "SSH", incus: "Incus", cluster: "cluster" };
const WAYS: Readonly<Record<string, string>> = { api: "; through the cluster's API", kubectl: "; by kubectl in the runner" };

export class Opening implements Disposable {
  readonly #what: string;
  readonly #status: TabStatus;
  readonly #notices: LiveNotices;
  #phases = new Phases();
  #way = "";
  #patience: ReturnType<typeof setTimeout> | undefined;

  constructor(what: string, status: TabStatus, notices: LiveNotices) {
    this.#what = what;
    this.#status = status;
    this.#notices = notices;
  }

  /** Begins with a session that is new. */
  begin(): void {
    this.#phases = new Phases();
    this.#phases.begin("gateway");
    this.#patience = setTimeout(() => this.#notices.opening(this.#phases), PATIENCE);
  }

  /** Says how long each phase took, and by which way the pod was entered, once the session has started. */
  get times(): string {
    return this.#phases.text + (WAYS[this.#way] ?? "");
  }

  hear(event: SessionEvent): void {
    if (this.#patience === undefined) return;
    switch (event.type) {
      case "reached":
        return this.#phases.begin("");
      case "opening": {
        const name = NAMES[event.hop] ?? visible(event.hop);
        this.#phases.begin(name);
        return this.#status.state("busy", `connecting: ${name}`);
      }
      case "hello":
        this.#phases.end("cluster");
        return this.#phases.begin(this.#what);
      case "started":
        this.#phases.end();
        this.#way = event.way;
        return this.dispose();
      case "ended":
      case "away":
        return this.dispose();
    }
  }

  dispose(): void {
    clearTimeout(this.#patience);
    this.#patience = undefined;
    this.#notices.opened();
  }
}
