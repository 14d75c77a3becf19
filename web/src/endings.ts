/** Describes to a person how a session ended. */

import type { Ending } from "./events.ts";
import type { Reason } from "./protocol/control.ts";
import { visible } from "./words.ts";

const HOPS: Readonly<Record<string, string>> = {
  client: "this page",
  gateway: "the gateway",
  ssh: "SSH to the management host",
  incus: "Incus on the management host",
  runner: "the runner",
  kubectl: "kubectl in the runner",
  cluster: "the cluster",
  pod: "the pod",
};

export interface EndingWords {
  /** A few words for the status line. */
  readonly state: string;
  /** A sentence for the terminal or, if `elsewhere` is set, for the bar over the terminal. */
  readonly sentence: string;
  readonly mood: "ended" | "bad";
  /** Why the session may live on without this page: another client has the session, or the gateway is unreached. */
  readonly elsewhere?: "taken" | "unreached";
}

/** Names the wire's `hop` for a person; an unknown hop is shown escaped, an empty hop is the gateway. */
export function hopName(hop: string): string {
  return HOPS[hop] ?? (visible(hop) || "the gateway");
}

export function describeEnding(ending: Ending, what: string): EndingWords {
  switch (ending.type) {
    case "exited":
      return {
        state: `ended, exit ${ending.exitCode}`,
        sentence: `The ${what} ended with exit code ${ending.exitCode}.`,
        mood: "ended",
      };
    case "failed":
      return ourWords(ending, what) ?? failure(ending, ending.begun, what);
    case "lost":
      return {
        state: "connection lost",
        sentence: `The connection to the gateway was lost, and this ${what} with it.`,
        mood: "bad",
      };
    case "unopened":
      return { state: "failed: gateway", sentence: "The gateway did not take the connection.", mood: "bad" };
    case "gaveUp":
      return {
        state: "gave up",
        sentence: `The gateway could not be reached for as long as it keeps the ${what}. It has probably ended.`,
        mood: "bad",
        elsewhere: "unreached",
      };
    case "closed":
      return { state: "ended", sentence: `You ended the ${what}.`, mood: "ended" };
  }
}

/** Describes an ending whose code needs a sentence of its own; undefined for every other code. */
function ourWords({ code, message }: Reason, what: string): EndingWords | undefined {
  switch (code) {
    case "resume_refused":
      return {
        state: "not given back",
        sentence: `The gateway does not give the ${what} back: ${visible(message)}`,
        mood: "bad",
        elsewhere: "taken",
      };
    case "taken_over":
      return {
        state: "taken over",
        sentence: `This ${what} goes on in another tab or program, which has taken it over.`,
        mood: "ended",
        elsewhere: "taken",
      };
    case "killed":
      return { state: "ended: killed", sentence: `The ${what} was ended from outside: ${visible(message)}`, mood: "bad" };
    case "access_revoked":
      return { state: "ended: signed out", sentence: `The ${what} was ended from outside: ${visible(message)}`, mood: "bad" };
    case "idle_timeout":
      return { state: "ended: idle", sentence: `The ${what} was ended because nothing happened in it for too long.`, mood: "ended" };
    case "max_age":
      return { state: "ended: age", sentence: `The ${what} was ended because it reached the age that is allowed.`, mood: "ended" };
    case "client_lost":
      return { state: "ended: away", sentence: `The ${what} was ended because this page was away for too long.`, mood: "bad" };
    case "session_unknown":
      return {
        state: "gone",
        sentence: `The gateway does not have this ${what} any more: it ended while this page was away.`,
        mood: "bad",
      };
    default:
      return undefined;
  }
}

function failure({ hop, code, message }: Reason, begun: boolean, what: string): EndingWords {
  const verb = begun ? "was ended" : "could not start";
  const said = visible(message) || "no reason was given";
  return {
    state: `failed: ${visible(hop) || "gateway"}`,
    sentence: `The ${what} ${verb}. From ${hopName(hop)}: ${said}${code ? ` (${visible(code)})` : ""}`,
    mood: "bad",
  };
}
