/** Describes to a person what becomes of a log, with what can be done where it stops. */

import type { Refused } from "../access.ts";
import type { LogState } from "../logs/follow.ts";
import { visible } from "../words.ts";

export interface Counts {
  readonly count: number;
  readonly dropped: boolean;
}

export function describeLog(state: LogState, lines: Counts, previous: boolean): string {
  const many = `${lines.count.toLocaleString("en")} ${lines.count === 1 ? "line" : "lines"}${lines.dropped ? ", earlier ones are left out" : ""}`;
  switch (state.name) {
    case "asking":
      return "Asking for the log";
    case "following":
      return lines.count === 0 ? "Following: nothing has been written yet" : `Following: ${many}`;
    case "paused":
      return `Paused: ${many}. Follow goes on where this stopped.`;
    case "whole":
      return `The run before this one, to its end: ${many}`;
    case "ended":
      return `The container's log has ended: ${many}. It is looked at again ${inSeconds(state.next)}.`;
    case "lost":
      return `${why(state.why)} It is asked for again ${inSeconds(state.next)}, from the last line on.`;
    case "refused":
      return refusal(state.why, previous);
  }
}

function inSeconds(time: number): string {
  const left = Math.ceil((time - Date.now()) / 1000);
  return left > 0 ? `in ${left} s` : "now";
}

function why({ status, message }: Refused): string {
  return status === 0 ? "The way to the log is lost." : `The log cannot be read now: ${visible(message)}.`;
}

function refusal({ status, message }: Refused, previous: boolean): string {
  const said = visible(message);
  if (status === 403) return `You may not read this log: ${said}. Whoever runs the cluster can allow you “get” on “pods/log”.`;
  if (status === 400 && previous) return `There is no log of a run before this one: ${said}. Untick “Previous run”.`;
  if (status === 404 && message.includes("not found")) return `There is no such log: ${said}. Find the pod's successor under “All pods”.`;
  return `The log was refused: ${said}. “Follow” asks again.`;
}
