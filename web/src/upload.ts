/** Uploads a file over as many requests as it takes: after a lost hop, or a lost gateway, what is missing is sent again. */

import type { Answer } from "./access.ts";
import type { Progress, Resumed } from "./transfers.ts";

/** Milliseconds before each question whether the way is there again; the last is repeated. */
const PAUSES = [0, 500, 1000, 2000, 5000];
/** Milliseconds for which a lost way is waited for: as long as the gateway keeps what it has. */
const PATIENCE = 300_000;

const GATEWAY = "the gateway does not answer";

/** What an upload asks of the gateway. */
export interface Way {
  send(offset: number): Promise<Answer<Progress>>;
  resume(): Promise<Answer<Resumed>>;
  /** Waits for so many milliseconds. */
  pause(milliseconds: number): Promise<void>;
  /** Returns the time, in milliseconds. */
  now(): number;
}

/** Returns what came of the upload. Calls `waiting` with what is lost, in the gateway's words. */
export async function upload(way: Way, waiting: (hop: string) => void, signal: AbortSignal): Promise<Answer<Progress>> {
  let [offset, tries, until] = [0, 0, 0];
  for (;;) {
    const answer = await way.send(offset);
    if (answer.type === "ok" || (answer.type === "refused" && answer.status === 401)) return answer;
    if (tries === 0) until = way.now() + PATIENCE;
    waiting(answer.type === "refused" ? answer.message : GATEWAY);
    for (let reached: number | undefined; reached === undefined; ) {
      await way.pause(PAUSES[Math.min(tries, PAUSES.length - 1)] ?? 0);
      if (signal.aborted || way.now() > until) return answer;
      const found = await way.resume();
      if (found.type === "refused") return answer.type === "refused" ? answer : found; // there is nothing to go on with
      if (found.type === "ok" && found.value.done) return { type: "ok", value: found.value.done };
      reached = found.type === "ok" ? found.value.offset : undefined;
      if (reached === undefined) waiting(found.type === "ok" ? `hop ${found.value.hop}` : GATEWAY);
      tries = (reached ?? 0) > offset ? 0 : tries + 1; // a file that the browser cannot read gets no further
      offset = reached ?? offset;
    }
  }
}
