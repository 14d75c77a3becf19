/** Holds the rows of a list, finds those that a person means, and puts them in order. Knows no page. */

import { asCount, asText } from "../protocol/utf8.ts";

export const KINDS = ["pods", "deployments", "statefulsets", "daemonsets", "jobs", "services"] as const;
export type Kind = (typeof KINDS)[number];

export interface Row {
  readonly kind: Kind;
  readonly namespace: string;
  readonly name: string;
  readonly ready: string;
  readonly status: string;
  readonly restarts: number;
  /** Seconds of the epoch, by the gateway's clock. */
  readonly created: number;
  readonly node: string;
  readonly owner: string;
  /** Names the object among all rows. */
  readonly key: string;
  /** All that a search looks through, in lower case. */
  readonly text: string;
}

export const COLUMNS = ["name", "namespace", "ready", "status", "restarts", "created", "node"] as const;
export type Column = (typeof COLUMNS)[number];

export interface Sort {
  readonly column: Column;
  readonly descending: boolean;
}

export function keyOf(kind: Kind, namespace: string, name: string): string {
  return `${kind}/${namespace}/${name}`;
}

/** Returns a row as the gateway sends it; undefined for anything else. */
export function parseRow(kind: Kind, value: unknown): Row | undefined {
  if (!Array.isArray(value)) return undefined;
  const [namespace, name, ready, status, restarts, created, node, owner] = value as unknown[];
  const texts = [namespace, name, ready, status, node, owner].map(asText);
  const [inNamespace = "", called = "", works = "", how = "", where = "", made = ""] = texts;
  if (!called) return undefined;
  return {
    kind,
    namespace: inNamespace,
    name: called,
    ready: works,
    status: how,
    restarts: asCount(restarts) ?? 0,
    created: asCount(created) ?? 0,
    node: where,
    owner: made,
    key: keyOf(kind, inNamespace, called),
    text: `${called} ${inNamespace} ${how} ${where} ${made}`.toLowerCase(),
  };
}

/** Returns the rows in the order of `sort`; without one those of `recent`, the latest first, then by name. */
export function arrange(rows: Iterable<Row>, sort: Sort | undefined, recent: ReadonlyMap<string, number>): Row[] {
  const sorted = [...rows];
  if (!sort) return sorted.sort((a, b) => latest(a, b, recent) || byName(a, b));
  const turn = sort.descending ? -1 : 1;
  const compare = COMPARE[sort.column];
  return sorted.sort((a, b) => turn * compare(a, b) || byName(a, b));
}

/** Returns the rows that have all words of `query`, those first whose name begins with it, workloads after pods. */
export function search(rows: readonly Row[], query: string, namespace: string): Row[] {
  const words = query.toLowerCase().split(/\s+/).filter(Boolean);
  const [first = ""] = words;
  const found: Row[][] = [[], [], [], []];
  for (const row of rows) {
    if (namespace && row.namespace !== namespace) continue;
    if (row.kind !== "pods" && words.length === 0) continue;
    if (!hasAll(row.text, words)) continue;
    const begins = row.name.startsWith(first) ? 0 : 1;
    found[row.kind === "pods" ? begins : 2 + begins]?.push(row);
  }
  return found.flat();
}

function hasAll(text: string, words: readonly string[]): boolean {
  for (const word of words) if (!text.includes(word)) return false;
  return true;
}

function latest(a: Row, b: Row, recent: ReadonlyMap<string, number>): number {
  if (recent.size === 0) return 0;
  return (recent.get(b.key) ?? 0) - (recent.get(a.key) ?? 0);
}

function byName(a: Row, b: Row): number {
  return compareText(a.name, b.name) || compareText(a.namespace, b.namespace);
}

function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

function missing({ ready }: Row): number {
  const [have, of] = ready.split("/").map(Number);
  return of ? 1 - (have ?? 0) / of : 0;
}

const COMPARE: Readonly<Record<Column, (a: Row, b: Row) => number>> = {
  name: (a, b) => compareText(a.name, b.name),
  namespace: (a, b) => compareText(a.namespace, b.namespace),
  ready: (a, b) => missing(b) - missing(a),
  status: (a, b) => compareText(a.status, b.status),
  restarts: (a, b) => a.restarts - b.restarts,
  created: (a, b) => b.created - a.created,
  node: (a, b) => compareText(a.node, b.node),
};

/** Says how a status is to be taken at a glance; the word itself stands beside it. */
export function moodOf({ kind, status, ready }: Row): "good" | "busy" | "bad" | "none" {
  if (/crash|err|fail|evicted|oom|backoff|unknown|lost/i.test(status)) return "bad";
  if (/completed|succeeded/i.test(status)) return "none";
  const [have, of] = ready.split("/");
  if (kind === "pods" && status !== "Running") return "busy";
  return ready === "" ? "none" : have === of ? "good" : "busy";
}

/** Returns a length of time in at most three characters, as kubectl would: 42s, 13m, 7h, 25d, 3y. */
export function age(seconds: number): string {
  const units = [[365 * 86400, "y"], [86400, "d"], [3600, "h"], [60, "m"]] as const;
  const whole = Math.max(0, Math.floor(seconds));
  const [size, name] = units.find(([length]) => whole >= length) ?? [1, "s"];
  return `${Math.floor(whole / size)}${name}`;
}
