/** The messages of our own control stream that a page acts on. Unknown ones are skipped: newer gateways may have more. */

import { asCount, asObject, asText, type JsonObject } from "./utf8.ts";

/** How to attach to a session again, and where both directions stand. Offsets are bytes from its beginning. */
export interface Resume {
  /** Good for the next attach alone. */
  readonly secret: string;
  /** Seconds that the session waits for a client. */
  readonly grace: number;
  /** Of the first byte of output that follows. */
  readonly offset: number;
  /** Input up to here has been taken. */
  readonly received: number;
  /** Bytes of input beyond `received`, and of output beyond what was seen, that may be under way. */
  readonly window: number;
}

export interface Reason {
  readonly code: string;
  readonly hop: string;
  readonly message: string;
}

export type Control =
  | {
      readonly type: "hello";
      readonly session: string;
      readonly namespace: string | undefined;
      readonly container: string | undefined;
      /** Bytes of input beyond what was received that may be under way; undefined where that is not counted. */
      readonly window: number | undefined;
      /** Undefined where the session ends with its connection. */
      readonly resume: Resume | undefined;
    }
  | { readonly type: "started" }
  | ({ readonly type: "refused" } & Reason)
  | ({
      readonly type: "end";
      /** Undefined unless the command ended by itself. */
      readonly exitCode: number | undefined;
    } & Reason)
  | { readonly type: "received"; readonly offset: number }
  | { readonly type: "gap"; readonly bytes: number }
  /** A hop behind the gateway is lost, and the session waits so many seconds for it; without a code it is back. */
  | ({ readonly type: "hop"; readonly seconds: number | undefined } & Reason)
  /** The session ends in so many seconds; without a code not any more. */
  | { readonly type: "warning"; readonly code: string; readonly seconds: number }
  | { readonly type: "pong" };

/** What a page says on the control stream. */
export type ClientControl =
  | { readonly type: "attach"; readonly secret: string | null; readonly offset: number | null }
  | { readonly type: "seen"; readonly offset: number }
  | { readonly type: "ping" };

/** Undefined where the type is unknown, or a number that the rest depends on is none. */
export function parseControl(body: JsonObject): Control | undefined {
  switch (body["type"]) {
    case "hello": {
      const target = asObject(body["target"]);
      const [namespace, container] = ["namespace", "container"].map((name) => asText(target?.[name]) || undefined);
      const window = asCount(body["window"]) || undefined;
      const resume = parseResume(body["resume"]);
      return { type: "hello", session: asText(body["session"]), namespace, container, window, resume };
    }
    case "started":
    case "pong":
      return { type: body["type"] };
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
  return { secret, grace, offset, received, window };
}

function reason(body: JsonObject): Reason {
  return { code: asText(body["code"]), hop: asText(body["hop"]), message: asText(body["message"]) };
}
