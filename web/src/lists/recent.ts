/** Remembers in this browser which pods somebody opened last, for each person alone. */

import { storageKey } from "../base.ts";
import { keyOf, type Kind } from "./row.ts";
import type { Target } from "../protocol/target.ts";
import { SHORT } from "./lists.ts";

/** Targets that are remembered. */
const MOST = 30;

/** Names targets, each with the time when it was opened, in milliseconds of the epoch. */
type Stored = readonly (readonly [cluster: string, key: string, at: number])[];

/** Returns the keys of rows that `who` opened in `cluster`, each with the time. */
export function recent(who: string, cluster: string): Map<string, number> {
  return new Map(read(who).filter(([where]) => where === cluster).map(([, key, at]) => [key, at]));
}

/** Remembers that `who` opened a pod, or a workload; not one whose namespace is not known. */
export function remember(who: string, { cluster, namespace, pod }: Target): void {
  if (!namespace) return;
  const [short, name] = pod.includes("/") ? [pod.split("/")[0], pod.split("/")[1] ?? ""] : ["", pod];
  const kind = Object.keys(SHORT).find((each) => SHORT[each] === short) ?? "pods";
  const key = keyOf(kind as Kind, namespace, name);
  const others = read(who).filter(([where, other]) => where !== cluster || other !== key);
  write(who, [[cluster, key, Date.now()] as const, ...others].slice(0, MOST));
}

export function forgetRecent(who: string): void {
  stored((items) => items.removeItem(nameFor(who)));
}

function read(who: string): Stored {
  const text = stored((items) => items.getItem(nameFor(who)));
  try {
    const found: unknown = JSON.parse(text ?? "[]");
    return Array.isArray(found) ? found.filter(isStored) : [];
  } catch {
    return [];
  }
}

function isStored(value: unknown): value is Stored[number] {
  return Array.isArray(value) && typeof value[0] === "string" && typeof value[1] === "string" && typeof value[2] === "number";
}

function write(who: string, targets: Stored): void {
  stored((items) => items.setItem(nameFor(who), JSON.stringify(targets)));
}

function nameFor(who: string): string {
  return storageKey(`dap-gateway.recent ${who}`);
}

/** Returns undefined where the browser lets a page store nothing, or its storage is full. */
function stored<T>(use: (items: Storage) => T): T | undefined {
  try {
    return use(localStorage);
  } catch {
    return undefined;
  }
}
