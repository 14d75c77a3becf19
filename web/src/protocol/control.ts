/** The messages of our own control stream that a page acts on. Unknown ones are skipped: newer gateways may have more. */

import { asObject, asText, type JsonObject } from "./utf8.ts";

export type Control =
  | { readonly type: "hello"; readonly session: string; readonly container: string | undefined }
  | { readonly type: "started" }
  | { readonly type: "refused"; readonly code: string; readonly hop: string; readonly message: string }
  | {
      readonly type: "end";
      readonly code: string;
      readonly hop: string;
      readonly message: string;
      /** Undefined unless the command ended by itself. */
      readonly exitCode: number | undefined;
    };

/** Undefined where the type is unknown. */
export function parseControl(body: JsonObject): Control | undefined {
  switch (body["type"]) {
    case "hello": {
      const container = asText(asObject(body["target"])?.["container"]);
      return { type: "hello", session: asText(body["session"]), container: container || undefined };
    }
    case "started":
      return { type: "started" };
    case "refused":
      return { type: "refused", ...reason(body) };
    case "end": {
      const exitCode = body["exitCode"];
      return { type: "end", ...reason(body), exitCode: typeof exitCode === "number" ? exitCode : undefined };
    }
    default:
      return undefined;
  }
}

function reason(body: JsonObject): { code: string; hop: string; message: string } {
  return { code: asText(body["code"]), hop: asText(body["hop"]), message: asText(body["message"]) };
}
