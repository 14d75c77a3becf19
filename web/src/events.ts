/** What a session tells, and what it takes to attach to it again. */

import type { InputState } from "./input.ts";
import type { Control, Reason } from "./protocol/control.ts";
import type { Status } from "./protocol/status.ts";

export type Ending =
  | { readonly type: "exited"; readonly exitCode: number }
  /** `begun` is false where the command has written nothing: kubectl was started, the shell perhaps never. */
  | ({ readonly type: "failed"; readonly begun: boolean } & Reason)
  /** The connection went away without an end, and with it the session. */
  | { readonly type: "lost" }
  /** The first connection never opened. A browser does not tell why. */
  | { readonly type: "unopened" }
  /** The gateway could not be reached for as long as the session is kept. */
  | { readonly type: "gaveUp" }
  /** By the person. */
  | { readonly type: "closed" };

export type SessionEvent =
  /** `grace`: seconds that the session outlives its connection; undefined where it does not. */
  | {
      readonly type: "hello";
      readonly namespace: string | undefined;
      readonly container: string | undefined;
      readonly grace: number | undefined;
    }
  | { readonly type: "started" }
  | { readonly type: "output"; readonly data: Uint8Array }
  /** So many bytes are missing between the output before and after. */
  | { readonly type: "gap"; readonly bytes: number }
  /** The connection is lost; tries go on by themselves. */
  | { readonly type: "away"; readonly until: number }
  /** A try did not even open. */
  | { readonly type: "unopened" }
  /** `newest`: what follows may have been shown before, on a screen that is lost. */
  | { readonly type: "back"; readonly newest: boolean }
  | Extract<Control, { type: "hop" | "warning" }>
  /** More input waits than is good to keep quiet about; see `held`. */
  | { readonly type: "held" }
  | { readonly type: "tooMuch"; readonly units: number }
  | { readonly type: "ended"; readonly ending: Ending };

/** What it takes to attach to a session. */
export interface Kept {
  readonly name: string;
  /** Null takes the session over from whoever has it. */
  readonly secret: string | null;
  /** Seconds that it outlives a connection. */
  readonly grace: number;
  /** Of the output that is already here; null where none is. */
  readonly offset: number | null;
  /** When it is not kept any longer, in milliseconds of the epoch. */
  readonly until: number;
  readonly input?: InputState | undefined;
}

/** Where a gateway says no `end` of its own, the Status alone has to do. */
export function endingOf(status: Status, begun: boolean): Ending {
  if (status.exitCode !== undefined) return { type: "exited", exitCode: status.exitCode };
  return { type: "failed", begun, hop: "", code: status.reason, message: status.message };
}
