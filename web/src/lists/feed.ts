/** Receives lists over one WebSocket, and connects again by itself; knows no page. */

import type { Disposable } from "../lifecycle.ts";
import { asCount, asObject, asText, parseObject, toBytes, type JsonObject } from "../protocol/utf8.ts";
import type { Socket } from "../connection.ts";
import { Heartbeat } from "../heartbeat.ts";
import { keyOf, parseRow, type Kind, type Row } from "./row.ts";

export const LISTS = "/gateway/v1/lists";
export const LISTS_PROTOCOL = "v1.lists.dap-gateway";

/** Milliseconds before each retry; the last pause is repeated. */
const PAUSES = [200, 1000, 2000, 5000];

/** How far a list is to be believed; see the gateway's README of the protocol. `away`: the gateway itself is not reached. */
export interface ListState {
  readonly name: "loading" | "live" | "stale" | "forbidden" | "failed" | "refused" | "away";
  readonly have: number;
  readonly of: number | undefined;
  readonly cut: boolean;
  /** Seconds between two looks, where the gateway is not told of changes; else 0. */
  readonly every: number;
  readonly code: string;
  readonly hop: string;
  readonly message: string;
}

export const LOADING: ListState = { name: "loading", have: 0, of: undefined, cut: false, every: 0, code: "", hop: "", message: "" };
const NAMES = ["loading", "live", "stale", "forbidden", "failed", "refused"] as const;

/** One list, as far as it is known. Rows that were known before a connection was lost stay until they are known anew. */
export class LiveList {
  readonly rows = new Map<string, Row>();
  state: ListState = LOADING;
  /** Counts changes of the rows. */
  version = 0;
  readonly #changed: () => void;
  #seen: Set<string> | undefined = new Set();

  constructor(
    readonly cluster: string,
    readonly kind: Kind,
    readonly namespace: string,
    changed: () => void,
  ) {
    this.#changed = changed;
  }

  /** The gateway tells this list from its beginning. */
  begin(): void {
    this.#seen = new Set();
  }

  lost(): void {
    this.state = { ...this.state, name: "away" };
    this.#changed();
  }

  receive(message: JsonObject): void {
    for (const value of asArray(message["rows"])) {
      const row = parseRow(this.kind, value);
      if (!row) continue;
      this.rows.set(row.key, row);
      this.#seen?.add(row.key);
      this.version += 1;
    }
    for (const value of asArray(message["gone"])) {
      const [namespace, name] = asArray(value).map(asText);
      if (this.rows.delete(keyOf(this.kind, namespace ?? "", name ?? ""))) this.version += 1;
    }
    const state = asObject(message["state"]);
    if (state) this.#take(state);
    this.#changed();
  }

  #take(state: JsonObject): void {
    const name = NAMES.find((known) => known === state["name"]) ?? "failed";
    if (name === "live" && this.#seen) {
      for (const key of [...this.rows.keys()]) if (!this.#seen.has(key)) this.rows.delete(key);
      this.#seen = undefined;
      this.version += 1;
    }
    if (name === "forbidden" || name === "refused") this.rows.clear();
    this.state = {
      name,
      have: asCount(state["have"]) ?? 0,
      of: asCount(state["of"]),
      cut: state["cut"] === true,
      every: asCount(state["every"]) ?? 0,
      code: asText(state["code"]),
      hop: asText(state["hop"]),
      message: asText(state["message"]),
    };
  }
}

export class Feed implements Disposable {
  /** Seconds that the gateway's clock is ahead of this computer's. */
  ahead = 0;
  readonly #connect: () => Socket;
  readonly #unopened: () => void;
  readonly #lists = new Map<number, LiveList>();
  readonly #heartbeat = new Heartbeat(() => this.#say({ ping: true }), () => this.#lost());
  #socket: Socket | undefined;
  #open = false;
  #number = 0;
  #failures = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;

  /** `unopened` is called when the gateway did not take a connection: a browser hides the reason. */
  constructor(connect: () => Socket, unopened: () => void) {
    this.#connect = connect;
    this.#unopened = unopened;
  }

  /** Shows a list, and calls `changed` after each change of it. */
  open(cluster: string, kind: Kind, namespace: string, changed: () => void): LiveList {
    const list = new LiveList(cluster, kind, namespace, changed);
    this.#number += 1;
    this.#lists.set(this.#number, list);
    if (this.#open) this.#ask(this.#number, list);
    else if (!this.#socket) this.#begin();
    return list;
  }

  close(list: LiveList): void {
    const number = this.#numberOf(list);
    if (number === undefined) return;
    this.#lists.delete(number);
    this.#say({ close: number });
  }

  /** Has the gateway read the list now, or connects now. */
  retry(list: LiveList): void {
    if (this.#open) this.#say({ retry: this.#numberOf(list) });
    else this.check();
  }

  /** Connects at once after a loss; otherwise checks that the connection lives. */
  check(): void {
    this.#failures = 0;
    if (!this.#socket) this.#begin();
    else this.#heartbeat.check();
  }

  dispose(): void {
    clearTimeout(this.#timer);
    this.#heartbeat.dispose();
    this.#lists.clear();
    const socket = this.#socket;
    this.#socket = undefined;
    this.#open = false;
    socket?.close(1000);
  }

  #begin(): void {
    clearTimeout(this.#timer);
    const socket = this.#connect();
    this.#socket = socket;
    socket.listen({
      opened: () => socket === this.#socket && this.#opened(),
      received: (payload) => socket === this.#socket && this.#received(payload),
      closed: () => socket === this.#socket && this.#lost(),
    });
  }

  #opened(): void {
    this.#open = true;
    this.#heartbeat.start();
    for (const [number, list] of this.#lists) this.#ask(number, list);
  }

  #ask(number: number, list: LiveList): void {
    list.begin();
    this.#say({ open: number, cluster: list.cluster, kind: list.kind, namespace: list.namespace });
  }

  #received(payload: Uint8Array): void {
    this.#heartbeat.heard();
    this.#failures = 0;
    const message = parseObject(payload) ?? {};
    const now = asObject(message["state"])?.["now"];
    if (typeof now === "number") this.ahead = now - Date.now() / 1000;
    const number = asCount(message["list"]);
    if (number !== undefined) this.#lists.get(number)?.receive(message);
  }

  #lost(): void {
    const opened = this.#open;
    const socket = this.#socket;
    this.#socket = undefined;
    this.#open = false;
    this.#heartbeat.stop();
    socket?.close(4001);
    for (const list of this.#lists.values()) list.lost();
    if (!opened) this.#unopened();
    const pause = PAUSES[Math.min(this.#failures, PAUSES.length - 1)] ?? 0;
    this.#failures += 1;
    if (this.#lists.size > 0) this.#timer = setTimeout(() => this.#begin(), pause);
  }

  #numberOf(list: LiveList): number | undefined {
    for (const [number, each] of this.#lists) if (each === list) return number;
    return undefined;
  }

  #say(message: JsonObject): void {
    if (this.#open) this.#socket?.send(toBytes(JSON.stringify(message)));
  }
}

function asArray(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? (value as unknown[]) : [];
}
