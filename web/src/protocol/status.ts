/** Parses the fields of Kubernetes Status objects that a terminal needs. */

import { asObject, asText, type JsonObject } from "./utf8.ts";

export interface Status {
  readonly success: boolean;
  readonly message: string;
  readonly reason: string;
  /** Exit code of the command, 0 on success; undefined if the Status is about another failure. */
  readonly exitCode: number | undefined;
}

/** Returns the Status in `body`; undefined if its `status` is something else than Success or Failure. */
export function parseStatus(body: JsonObject): Status | undefined {
  const word = body["status"];
  if (word !== "Success" && word !== "Failure") return undefined;
  const success = word === "Success";
  return {
    success,
    message: asText(body["message"]),
    reason: asText(body["reason"]),
    exitCode: success ? 0 : exitCode(body),
  };
}

function exitCode(body: JsonObject): number | undefined {
  if (body["reason"] !== "NonZeroExitCode") return undefined;
  const causes = asObject(body["details"])?.["causes"];
  if (!Array.isArray(causes)) return undefined;
  const cause = causes.map(asObject).find((each) => each?.["reason"] === "ExitCode");
  const digits = asText(cause?.["message"]);
  return /^\d{1,10}$/.test(digits) ? Number(digits) : undefined;
}
