/** Defines the events that a session emits, and what a client needs to attach to a session again. */

import type { InputState } from "./input.ts";
import type { Control, Reason } from "./protocol/control.ts";
import type { Status } from "./protocol/status.ts";

export type Ending =
  | { readonly type: "exited"; readonly exitCode: number }
  /** The session failed. `begun` is false if the command has written nothing: perhaps the shell never started. */
  | ({ readonly type: "failed"; readonly begun: boolean } & Reason)
  /** The connection was lost without an `end`, and the session with the connection. */
  | { readonly type: "lost" }
  /** The first connection never opened; a browser hides the reason. */
  | { readonly type: "unopened" }
  /** The gateway stayed out of reach for as long as the session is kept. */
  | { readonly type: "gaveUp" }
  /** The person ended the session. */
  | { readonly type: "closed" };

export type SessionEvent =
  /** The connection of a new session is open: the gateway opens the way to the pod. */
  | { readonly type: "reached" }
  /** The gateway accepted the session. `grace`: seconds that the session outlives its connection; undefined if none. */
  | {
      readonly type: "hello";
      readonly namespace: string | undefined;
      readonly pod: string | undefined;
      readonly container: string | undefined;
      readonly grace: number | undefined;
      /** Seconds since the session was opened; undefined where nobody tells. */
      readonly age: number | undefined;
      /** What is to be known of the pod: at the first hello alone. */
      readonly note: string;
    }
  | { readonly type: "started"; readonly way: string }
  | { readonly type: "output"; readonly data: Uint8Array }
  /** The gateway took so many milliseconds to answer. */
  | { readonly type: "pulse"; readonly milliseconds: number }
  /** Output is missing: `bytes` bytes between the output before and after this event. */
  | { readonly type: "gap"; readonly bytes: number }
  /** The connection is lost; the session retries until `until`, in milliseconds of the epoch. `Session.retry` says when. */
  | { readonly type: "away"; readonly until: number }
  /** The connection of a retry never opened. */
  | { readonly type: "unopened" }
  /** `newest`: what follows may have been shown before, on a screen that is lost. `modes`: what sets a terminal that has
   * not drawn the output before, as that output has set it; empty for one that has. */
  | { readonly type: "back"; readonly newest: boolean; readonly modes: string }
  | Extract<Control, { type: "opening" | "hop" | "warning" }>
  /** So much input waits that the person should know; `Session.input` says how much. */
  | { readonly type: "held" }
  | { readonly type: "tooMuch"; readonly units: number }
  | { readonly type: "ended"; readonly ending: Ending };

/** What a client needs to attach to a session again. */
export interface Kept {
  readonly name: string;
  /** Secret of the next attach; null takes the session over from any other client. */
  readonly secret: string | null;
  /** Seconds that the session outlives a connection. */
  readonly grace: number;
  /** Offset before which all output is here already; null if no output is here. */
  readonly offset: number | null;
  /** Time at which the session's grace ends, in milliseconds of the epoch. */
  readonly until: number;
  readonly input?: InputState | undefined;
}

/** Returns the ending that an `end` describes. */
export function endingIn(end: Extract<Control, { type: "end" }>, begun: boolean): Ending {
  const { exitCode } = end;
  return exitCode === undefined ? { ...end, type: "failed", begun } : { type: "exited", exitCode };
}

/** Returns the ending that the Status alone describes, for a gateway that sends no `end`. */
export function endingOf(status: Status, begun: boolean): Ending {
  if (status.exitCode !== undefined) return { type: "exited", exitCode: status.exitCode };
  return { type: "failed", begun, hop: "", code: status.reason, message: status.message };
}
