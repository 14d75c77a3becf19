/** Moves files between the browser and a container, through the gateway. */

import * as access from "./access.ts";
import { at } from "./base.ts";
import type { Target } from "./protocol/target.ts";
import { asCount, asObject, asText } from "./protocol/utf8.ts";

export interface Progress {
  readonly state: string;
  /** The file's path in the container. */
  readonly path: string;
  readonly done: number;
  readonly total: number | undefined;
  readonly sha256: string;
  /** True if the container has said the same SHA-256. */
  readonly verified: boolean;
  /** True if the file is longer by now: what was copied is what was there at first. */
  readonly grew: boolean;
  /** True if a directory is on its way, as an archive. */
  readonly archive: boolean;
  readonly message: string;
}

export interface Begun extends Progress {
  readonly transfer: string;
  readonly name: string;
  /** True if a file has this path already. */
  readonly exists: boolean;
  /** Where a download is found, once. */
  readonly url: string;
}

/** Has the gateway look at a file in the container; `file` is what is to be uploaded to `path`, a file or a directory; the
 * archive of a `directory` is unpacked there.
 */
export async function begin(target: Target, path: string, file?: File, directory = false): Promise<access.Answer<Begun>> {
  const { cluster, namespace, pod, container = "" } = target;
  const how = file ? { way: "upload", name: file.name, size: file.size, directory } : { way: "download" };
  const answer = await access.asked("POST", `/gateway/v1/clusters/${cluster}/transfers`, { ...how, namespace, pod, container, path });
  if (answer.type !== "ok") return answer;
  const body = asObject(answer.value) ?? {};
  const [transfer, name, url] = ["transfer", "name", "url"].map((key) => asText(body[key]));
  return { type: "ok", value: { ...progressIn(body), transfer: transfer ?? "", name: name ?? "", url: url ?? "", exists: body["exists"] === true } };
}

export async function progress(transfer: string): Promise<access.Answer<Progress>> {
  const answer = await access.asked("GET", `/gateway/v1/transfers/${transfer}`);
  return answer.type === "ok" ? { type: "ok", value: progressIn(asObject(answer.value) ?? {}) } : answer;
}

export async function cancel(transfer: string): Promise<void> {
  await access.asked("DELETE", `/gateway/v1/transfers/${transfer}`);
}

/** Sends a file from `offset` on, and calls `sent` with how many bytes have left. The browser reads the file while it is sent. */
export function send(transfer: string, file: File, offset: number, sent: (bytes: number) => void, signal: AbortSignal): Promise<access.Answer<Progress>> {
  return new Promise((settle) => {
    const request = new XMLHttpRequest(); // fetch tells no progress of what it sends
    request.open("PUT", at(`/gateway/v1/transfers/${transfer}?modified=${Math.floor(file.lastModified / 1000)}`));
    request.setRequestHeader("Authorization", `Bearer ${access.token() ?? ""}`);
    request.responseType = "json";
    request.upload.addEventListener("progress", ({ loaded }) => sent(offset + loaded));
    request.addEventListener("loadend", () => {
      const body = asObject(request.response) ?? {};
      if (request.status === 200) return settle({ type: "ok", value: progressIn(body) });
      if (request.status === 0) return settle({ type: "unreachable" });
      settle({ type: "refused", status: request.status, message: asText(body["message"]) || `HTTP status ${request.status}` });
    });
    signal.addEventListener("abort", () => request.abort());
    if (signal.aborted) return settle({ type: "unreachable" });
    request.send(file.slice(offset));
  });
}

/** Where an upload stands that was interrupted. */
export interface Resumed {
  /** The byte from which on it is to be sent again; undefined while `hop` is waited for. */
  readonly offset: number | undefined;
  readonly hop: string;
  /** Set if all of it had come, and nobody heard of that. */
  readonly done: Progress | undefined;
}

export async function resume(transfer: string): Promise<access.Answer<Resumed>> {
  const answer = await access.asked("POST", `/gateway/v1/transfers/${transfer}/resume`);
  if (answer.type !== "ok") return answer;
  const body = asObject(answer.value) ?? {};
  return { type: "ok", value: { offset: asCount(body["offset"]), hop: asText(body["hop"]), done: body["state"] === "done" ? progressIn(body) : undefined } };
}

/** Has the browser download what a URL of one use leads to, under its own progress and into its own folder. */
export function save({ url, name }: Begun): void {
  const link = document.createElement("a");
  link.href = at(url);
  link.download = name;
  link.click();
}

function progressIn(body: Readonly<Record<string, unknown>>): Progress {
  const [state, path, sha256, message] = ["state", "path", "sha256", "message"].map((key) => asText(body[key]));
  const [done, total] = [asCount(body["done"]) ?? 0, asCount(body["total"])];
  return { state: state ?? "", path: path ?? "", done, total, sha256: sha256 ?? "", message: message ?? "", verified: body["verified"] === true, grew: body["grew"] === true, archive: body["archive"] === true };
}
