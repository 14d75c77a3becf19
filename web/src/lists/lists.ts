/** Keeps the lists of one cluster for whoever shows them: one connection of the tab, however many views come and go. */

import { connect } from "../socket.ts";
import * as access from "../access.ts";
import type { Target } from "../protocol/target.ts";
import { Feed, LISTS, LISTS_PROTOCOL, LOADING, type ListState, type LiveList } from "./feed.ts";
import { KINDS, type Row } from "./row.ts";

/** Milliseconds that the lists are kept up while no view shows them, so that whoever comes back finds them as they are. */
const REST = 30_000;

let lists: Lists | undefined;

/** Returns the tab's lists, and has them call `changed` and `trouble` from now on. */
export function listsOf(changed: () => void, trouble: () => void): Lists {
  lists ??= new Lists();
  lists.show(changed, trouble);
  return lists;
}

/** Forgets all lists: this tab signs out, or is another person's now. */
export function forgetLists(): void {
  lists?.dispose();
  lists = undefined;
}

export class Lists {
  #changed = (): void => {};
  #trouble = (): void => {};
  #resting: ReturnType<typeof setTimeout> | undefined;
  #feed = this.#makeFeed();
  #pods: LiveList | undefined;
  #others: LiveList[] = [];

  show(changed: () => void, trouble: () => void): void {
    clearTimeout(this.#resting);
    this.#changed = changed;
    this.#trouble = trouble;
  }

  /** The view that `show` was called for with `changed` is gone: keeps the lists up for a while, unless another view shows them by now. */
  rest(changed: () => void): void {
    if (this.#changed !== changed) return;
    this.#changed = this.#trouble = (): void => {};
    clearTimeout(this.#resting);
    this.#resting = setTimeout(() => lists === this && forgetLists(), REST);
  }

  /** Shows the pods of a cluster, in all namespaces, or in one where not all may be seen. */
  look(cluster: string, namespace: string): void {
    if (this.#pods?.cluster === cluster && this.#pods.namespace === namespace) return;
    this.#leave();
    this.#pods = this.#feed.open(cluster, "pods", namespace, () => this.#changed());
  }

  /** Shows what leads to pods, too; not where each look would cost a process in the runner. */
  lookAtWorkloads(): void {
    const pods = this.#pods;
    if (!pods || this.#others.length > 0 || this.state.every > 0 || this.state.name !== "live") return;
    const kinds = KINDS.filter((kind) => kind !== "pods");
    this.#others = kinds.map((kind) => this.#feed.open(pods.cluster, kind, pods.namespace, () => this.#changed()));
  }

  get cluster(): string {
    return this.#pods?.cluster ?? "";
  }

  /** The namespace that is looked at; empty if all are. */
  get namespace(): string {
    return this.#pods?.namespace ?? "";
  }

  get state(): ListState {
    return this.#pods?.state ?? LOADING;
  }

  get pods(): ReadonlyMap<string, Row> {
    return this.#pods?.rows ?? new Map<string, Row>();
  }

  /** Counts changes, so that nothing is put in order twice. */
  get version(): string {
    return [this.#pods, ...this.#others].map((list) => `${list?.cluster} ${list?.namespace} ${list?.version}`).join(" ");
  }

  /** Seconds of the epoch, by the gateway's clock. */
  get now(): number {
    return Date.now() / 1000 + this.#feed.ahead;
  }

  *rows(): Iterable<Row> {
    for (const list of [this.#pods, ...this.#others]) if (list) yield* list.rows.values();
  }

  retry(): void {
    if (this.#pods) this.#feed.retry(this.#pods);
  }

  check(): void {
    this.#feed.check();
  }

  dispose(): void {
    clearTimeout(this.#resting);
    this.#feed.dispose();
  }

  #leave(): void {
    for (const list of [this.#pods, ...this.#others]) if (list) this.#feed.close(list);
    this.#others = [];
  }

  #makeFeed(): Feed {
    return new Feed(() => connect(LISTS, access.token() ?? "", LISTS_PROTOCOL), () => this.#trouble());
  }
}

/** Returns what a row leads to: the pod, or the workload, of which the gateway finds a pod. */
export function targetOf(cluster: string, row: Row, container?: string): Target {
  const kind = SHORT[row.kind];
  return { cluster, namespace: row.namespace, pod: kind ? `${kind}/${row.name}` : row.name, container };
}

/** What kubectl calls the kinds that lead to pods. */
export const SHORT: Readonly<Record<string, string>> = {
  deployments: "deploy",
  statefulsets: "sts",
  daemonsets: "ds",
  jobs: "job",
  services: "svc",
};
