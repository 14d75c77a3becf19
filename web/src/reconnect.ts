/** Trying again after the connection was lost: when, and for how long. */

import type { Disposable } from "./lifecycle.ts";

/** Milliseconds before the first tries; the last one is repeated. */
const PAUSES = [200, 500, 1000, 2000, 5000];
/** Milliseconds that one try may take until the gateway has answered. */
const ATTEMPT = 15_000;
/** A gateway that refuses an attach with one of these is asked again. */
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
  /** Begins one try, which ends with `failed` or with the disposal of this. */
  begin(): void;
  /** Ends a try that takes too long. It does not call `failed`. */
  abandon(): void;
  /** The time is over, and the last try after that failed, too. */
  giveUp(): void;
}

export class Reconnect implements Disposable {
  /** When the session is not kept any longer, in milliseconds of the epoch. */
  readonly until: number;
  readonly #attempts: Attempts;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #trying = false;
  #failures = 0;

  constructor(until: number, attempts: Attempts) {
    this.until = until;
    this.#attempts = attempts;
    this.#wait();
  }

  /** Tries at once, and quickly again if that fails, unless a try is under way. */
  now(): void {
    this.#failures = 0;
    if (!this.#trying) this.#try();
  }

  /** The try has failed. */
  failed(): void {
    if (!this.#trying) return;
    this.#trying = false;
    this.#failures += 1;
    // A computer that slept past the end asks once all the same: the gateway's clock is the one that counts
    if (Date.now() >= this.until) this.#attempts.giveUp();
    else this.#wait();
  }

  dispose(): void {
    clearTimeout(this.#timer);
    this.#trying = false;
  }

  #wait(): void {
    clearTimeout(this.#timer);
    const pause = PAUSES[Math.min(this.#failures, PAUSES.length - 1)] ?? 0;
    this.#timer = setTimeout(() => this.#try(), Math.max(0, Math.min(pause, this.until - Date.now())));
  }

  #try(): void {
    clearTimeout(this.#timer);
    this.#trying = true;
    this.#timer = setTimeout(() => {
      this.#attempts.abandon();
      this.failed();
    }, ATTEMPT);
    this.#attempts.begin();
  }
}
