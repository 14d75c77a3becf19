/** Parses the control messages that a page acts on. Unknown types are skipped: newer gateways may send more types. */

import { asCount, asObject, asText, type JsonObject } from "./utf8.ts";

/** What the next attach to a session needs. Offsets count bytes from the session's beginning. */
export interface Resume {
  /** The secret of the next attach; each attach brings a new secret. */
  readonly secret: string;
  /** Seconds for which the session waits when its client is lost. */
  readonly grace: number;
  /** Offset of the first output byte that follows. */
  readonly offset: number;
  /** Offset up to which the gateway has received input. */
  readonly received: number;
  /** Bytes that may be on their way: of input beyond `received`, and of output beyond the last `seen`. */
  readonly window: number;
  /** What sets a terminal's modes as the output before `offset` has set them. */
  readonly modes: string;
}

export interface Reason {
  readonly code: string;
  readonly hop: string;
  readonly message: string;
}

export type Control =
  /** Names the hop that answers next, before `hello` or `refused`. */
  | { readonly type: "opening"; readonly hop: string }
  | {
      readonly type: "hello";
      readonly session: string;
      readonly namespace: string | undefined;
      /** The pod that was found, where a workload was asked for. */
      readonly pod: string | undefined;
      readonly container: string | undefined;
      /** Bytes of input that may be on their way unacknowledged; undefined if the gateway acknowledges no input. */
      readonly window: number | undefined;
      /** What the next attach needs; undefined if the session ends with its connection. */
      readonly resume: Resume | undefined;
      /** Seconds since the session was opened; undefined where the gateway does not tell. */
      readonly age: number | undefined;
      /** What is to be known of the pod, as that it is not ready; empty where that is nothing. */
      readonly note: string;
    }
  /** `way`: how the command got into its pod, `api` or `kubectl`; empty where nobody says. */
  | { readonly type: "started"; readonly way: string }
  | ({ readonly type: "refused" } & Reason)
  | ({
      readonly type: "end";
      /** Exit code of a command that ended by itself; undefined for every other end. */
      readonly exitCode: number | undefined;
    } & Reason)
  | { readonly type: "received"; readonly offset: number }
  | { readonly type: "gap"; readonly bytes: number }
  /** Reports a lost hop, for which the session waits `seconds` at most; with an empty code, the hop has recovered. */
  | ({ readonly type: "hop"; readonly seconds: number | undefined } & Reason)
  /** Announces that the session ends in `seconds`; with an empty code, withdraws the warning. */
  | { readonly type: "warning"; readonly code: string; readonly seconds: number }
  | { readonly type: "pong" };

/** Messages that a page sends on the control stream. */
export type ClientControl =
  | { readonly type: "attach"; readonly secret: string | null; readonly offset: number | null }
  | { readonly type: "seen"; readonly offset: number }
  | { readonly type: "stay" }
  | { readonly type: "ping" };

/** Returns the control message in `body`; undefined if its type is unknown, or a `received` or `gap` has no number. */
export function parseControl(body: JsonObject): Control | undefined {
  switch (body["type"]) {
    case "hello": {
      const target = asObject(body["target"]);
      const [namespace, pod, container] = ["namespace", "pod", "container"].map((name) => asText(target?.[name]) || undefined);
      const window = asCount(body["window"]) || undefined;
      const resume = parseResume(body["resume"]);
      const [session, note] = [asText(body["session"]), asText(body["note"])];
      return { type: "hello", session, namespace, pod, container, window, resume, age: asCount(body["age"]), note };
    }
    case "opening":
      return { type: "opening", hop: asText(body["hop"]) };
    case "started":
      return { type: "started", way: asText(body["way"]) };
    case "pong":
      return { type: "pong" };
    case "refused":
      return { type: "refused", ...reason(body) };
    case "end": {
      const exitCode = body["exitCode"];
      return { type: "end", ...reason(body), exitCode: typeof exitCode === "number" ? exitCode : undefined };
    }
    case "received": {
      const offset = asCount(body["offset"]);
      return offset === undefined ? undefined : { type: "received", offset };
    }
    case "gap": {
      const bytes = asCount(body["bytes"]);
      return bytes === undefined ? undefined : { type: "gap", bytes };
    }
    case "hop":
      return { type: "hop", ...reason(body), seconds: asCount(body["seconds"]) };
    case "warning":
      return { type: "warning", code: asText(body["code"]), seconds: asCount(body["seconds"]) ?? 0 };
    default:
      return undefined;
  }
}

function parseResume(value: unknown): Resume | undefined {
  const body = asObject(value) ?? {};
  const secret = asText(body["secret"]);
  const grace = asCount(body["grace"]);
  const offset = asCount(body["offset"]);
  const received = asCount(body["received"]);
  const window = asCount(body["window"]);
  if (!secret || grace === undefined || offset === undefined || received === undefined || !window) return undefined;
  return { secret, grace, offset, received, window, modes: asText(body["modes"]) };
}

function reason(body: JsonObject): Reason {
  return { code: asText(body["code"]), hop: asText(body["hop"]), message: asText(body["message"]) };
}
