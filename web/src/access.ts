/** Exchanges a ticket for a token, keeps the token while the tab lives, and asks the gateway with the token. */

import { at, storageKey } from "./base.ts";
import { clusterPath, type Target } from "./protocol/target.ts";
import { stored } from "./storage.ts";

const KEY = storageKey("dap-gateway.token");
const NAME = storageKey("dap-gateway.identity");
const LISTS = "/gateway/v1/lists";
const SESSIONS = "/gateway/v1/sessions";
const TOKEN = "/gateway/v1/token";
const INFO = "/gateway/v1/info";

/** A refusal, with the gateway's or the cluster's words; status 0 stands for no answer. */
export interface Refused {
  readonly status: number;
  readonly message: string;
}

/** Answer of the gateway: `refused` carries the gateway's own words, `unreachable` stands for no answer. */
export type Answer<T> =
  | { readonly type: "ok"; readonly value: T }
  | ({ readonly type: "refused" } & Refused)
  | { readonly type: "unreachable" };

/** Copy of the token for a browser that lets a page store nothing; the copy is gone after a reload. */
let unstored: string | null = null;

export function token(): string | null {
  return stored((storage) => storage.getItem(KEY)) ?? unstored;
}

/** Returns the name of the token's owner; empty while the owner is unknown. */
export function identity(): string {
  return stored((storage) => storage.getItem(NAME)) ?? "";
}

export function forget(): void {
  unstored = null;
  stored((storage) => [KEY, NAME].forEach((key) => storage.removeItem(key)));
}

/** Keeps a token: from now on this tab is its owner. */
export function keep({ token: value, name }: Given): void {
  unstored = value;
  stored((storage) => {
    storage.setItem(KEY, value);
    storage.setItem(NAME, name);
  });
}

/** A token that a ticket was exchanged for, and the name of its owner. */
export interface Given {
  readonly token: string;
  readonly name: string;
}

/** Exchanges the ticket, which works once, for a token, which `keep` keeps. */
export async function exchange(ticket: string): Promise<Answer<Given>> {
  const answer = await ask(TOKEN, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ ticket }),
  });
  if (answer.type !== "ok") return answer;
  const given = field(answer.value, "token");
  if (typeof given !== "string") return { type: "refused", status: 200, message: "the answer held no token" };
  const name = field(answer.value, "identity");
  return { type: "ok", value: { token: given, name: typeof name === "string" ? name : "" } };
}

/** Forgets the token here, then revokes the token: the gateway ends the sessions that were opened with the token. */
export async function signOut(): Promise<Answer<void>> {
  const given = token() ?? "";
  forget();
  return revoke(given);
}

/** Revokes a token: the gateway ends the sessions that were opened with the token. */
export async function revoke(given: string): Promise<Answer<void>> {
  const answer = await ask(TOKEN, { method: "DELETE", headers: { Authorization: `Bearer ${given}` } });
  return answer.type === "ok" ? { type: "ok", value: undefined } : answer;
}

/** Returns the default namespace of `cluster`, whose name must be a valid label; empty if the answer names none. */
export async function defaultNamespace(cluster: string): Promise<Answer<string>> {
  const answer = await asked("GET", `/gateway/v1/clusters/${cluster}/namespace`);
  if (answer.type !== "ok") return answer;
  const name = field(answer.value, "namespace");
  return { type: "ok", value: typeof name === "string" ? name : "" };
}

/** Returns a pod as its cluster has it; all three names must be valid. */
export async function pod(cluster: string, namespace: string, name: string): Promise<Answer<unknown>> {
  return asked("GET", `${clusterPath(cluster)}/api/v1/namespaces/${namespace}/pods/${name}`);
}

/** Asks for a container's log, to be read as it comes; `query` begins with a question mark, and may not name the container. */
export async function log({ cluster, namespace, pod, container }: Target, query: string, signal: AbortSignal): Promise<Response | Refused> {
  const named = container ? `&container=${encodeURIComponent(container)}` : "";
  const path = `${clusterPath(cluster)}/api/v1/namespaces/${namespace}/pods/${pod}/log${query}${named}`;
  const headers = { Authorization: `Bearer ${token() ?? ""}` };
  const response = await reach(path, { headers, signal });
  return response.ok ? response : refusalOf(response);
}

/** Returns the names of the gateway's clusters; the answer also tells whether the token is still good. */
export async function clusters(): Promise<Answer<string[]>> {
  const answer = await asked("GET", INFO);
  if (answer.type !== "ok") return answer;
  const listed = field(answer.value, "clusters");
  const found: readonly unknown[] = Array.isArray(listed) ? listed : [];
  const names = found.map((each) => field(each, "name")).filter((name) => typeof name === "string");
  production = new Map(found.map((each) => [String(field(each, "name")), patterns(field(each, "production"))]));
  return { type: "ok", value: names };
}

/** Patterns of the namespaces in each cluster where one is to be careful, as far as the gateway has said. */
let production: ReadonlyMap<string, readonly string[]> | undefined;

/** Returns true if the gateway's settings call a namespace of a cluster production. */
export async function isProduction(cluster: string, namespace: string): Promise<boolean> {
  if (!production) await clusters();
  const known = cluster === "default" && !production?.has(cluster) ? [...(production?.values() ?? [])][0] : production?.get(cluster);
  return known?.some((pattern) => fits(namespace, pattern)) ?? false;
}

/** Returns the sessions that one may list, as the gateway describes them. */
export async function sessions(): Promise<Answer<readonly unknown[]>> {
  const answer = await asked("GET", SESSIONS);
  if (answer.type !== "ok") return answer;
  const found = field(answer.value, "sessions");
  return { type: "ok", value: Array.isArray(found) ? found : [] };
}

/** Ends a session of anybody's whom one may end. */
export async function endSession(name: string): Promise<Answer<unknown>> {
  return asked("DELETE", `${SESSIONS}/${encodeURIComponent(name)}`);
}

function patterns(value: unknown): readonly string[] {
  return Array.isArray(value) ? value.filter((each) => typeof each === "string") : [];
}

/** Returns true if `name` is what `pattern` describes, in which * stands for anything. */
function fits(name: string, pattern: string): boolean {
  const parts = pattern.split("*").map((part) => part.replace(/[^a-z0-9-]/g, "\\$&"));
  return new RegExp(`^${parts.join(".*")}$`).test(name);
}

/** Says why the gateway took no WebSocket for lists, which a browser hides; `unauthorized` where the token is refused. */
export async function whyNoLists(): Promise<{ readonly words: string; readonly unauthorized?: string }> {
  const answer = await asked("GET", LISTS);
  if (answer.type === "unreachable") return { words: `The gateway does not answer at ${location.host}.` };
  if (answer.type === "refused" && answer.status === 401) return { words: "", unauthorized: answer.message };
  if (answer.type === "refused" && answer.status === 404) return { words: "This gateway is older than this page: reload the page." };
  return { words: "The gateway answers, but no WebSocket reaches it. Does a proxy in between let WebSockets through?" };
}

/** Asks the gateway with this tab's token. */
export async function asked(method: string, path: string, body?: object): Promise<Answer<unknown>> {
  const headers = { Authorization: `Bearer ${token() ?? ""}`, ...(body && { "Content-Type": "application/json" }) };
  return ask(path, { method, headers, ...(body && { body: JSON.stringify(body) }) });
}

async function ask(path: string, options: RequestInit): Promise<Answer<unknown>> {
  let response: Response;
  try {
    response = await reach(path, options);
  } catch {
    return { type: "unreachable" };
  }
  if (!response.ok) return { type: "refused", ...(await refusalOf(response)) };
  return { type: "ok", value: await response.json().catch(() => undefined) };
}

/** Sends a request with nothing that a browser would add, and follows nowhere. */
function reach(path: string, options: RequestInit): Promise<Response> {
  return fetch(at(path), { cache: "no-store", credentials: "omit", redirect: "error", ...options });
}

async function refusalOf(response: Response): Promise<Refused> {
  const said = field(await response.json().catch(() => undefined), "message");
  return { status: response.status, message: typeof said === "string" ? said : `HTTP status ${response.status}` };
}

function field(body: unknown, name: string): unknown {
  return typeof body === "object" && body !== null ? Object.entries(body).find(([key]) => key === name)?.[1] : undefined;
}
