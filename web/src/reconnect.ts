/** Retries after the connection was lost: decides when, and for how long. */

import type { Disposable } from "./lifecycle.ts";

/** Milliseconds before each retry; the last pause is repeated. */
const PAUSES = [200, 500, 1000, 2000, 5000];
/** Milliseconds that one retry may take until the gateway has answered. */
const ATTEMPT = 15_000;
/** Codes of a refused attach that is retried. */
export const PASSING: readonly string[] = [
  "shutdown",
  "ssh_unreachable",
  "ssh_busy",
  "ssh_lost",
  "incus_lost",
  "cluster_unreachable",
  "runner_timeout",
  "out_of_files",
];

export interface Attempts {
  /** Begins a retry, which ends with `Reconnect.failed` or with the disposal of the Reconnect. */
  begin(): void;
  /** Ends a retry that takes too long, and leaves the call of `failed` to the Reconnect. */
  abandon(): void;
  /** Ends the session here: the time is over, and the last retry has failed. */
  giveUp(): void;
}

export class Reconnect implements Disposable {
  /** Time at which the session's grace ends, in milliseconds of the epoch. */
  readonly until: number;
  /** Time of the next retry, in milliseconds of the epoch; undefined while one is under way. */
  next: number | undefined;
  readonly #attempts: Attempts;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #trying = false;
  #failures = 0;

  constructor(until: number, attempts: Attempts) {
    this.until = until;
    this.#attempts = attempts;
    this.#wait();
  }

  /** Retries at once, or lets the retry under way go on; after a failure the pauses begin again with the shortest. */
  now(): void {
    this.#failures = 0;
    if (!this.#trying) this.#try();
  }

  /** Records that the retry under way has failed, then waits for the next retry or, once the time is over, gives up. */
  failed(): void {
    if (!this.#trying) return;
    this.#trying = false;
    this.#failures += 1;
    // A computer that slept past the end still retries once, because the gateway's clock decides
    if (Date.now() >= this.until) this.#attempts.giveUp();
    else this.#wait();
  }

  dispose(): void {
    clearTimeout(this.#timer);
    this.#trying = false;
  }

  #wait(): void {
    clearTimeout(this.#timer);
    const longest = PAUSES[Math.min(this.#failures, PAUSES.length - 1)] ?? 0;
    const pause = Math.max(0, Math.min(longest, this.until - Date.now()));
    this.next = Date.now() + pause;
    this.#timer = setTimeout(() => this.#try(), pause);
  }

  #try(): void {
    clearTimeout(this.#timer);
    this.#trying = true;
    this.next = undefined;
    this.#timer = setTimeout(() => {
      this.#attempts.abandon();
      this.failed();
    }, ATTEMPT);
    this.#attempts.begin();
  }
}
