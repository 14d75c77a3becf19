/** Follows a container's log over as many requests as it takes: each line once, whatever is lost on the way. */

import type { Refused } from "../access.ts";
import type { Disposable } from "../lifecycle.ts";
import { LineSplitter, type LogLine } from "./lines.ts";
import { Position } from "./position.ts";

/** Lines from before that are asked for at first. */
const TAIL = 500;
/** Milliseconds before each request that follows one that was lost or has ended; the last is repeated. */
const PAUSES = [500, 1000, 2000, 5000, 10_000];

export type LogState =
  | { readonly name: "asking" }
  | { readonly name: "following" }
  | { readonly name: "paused" }
  /** The log of an earlier run of the container was read to its end. */
  | { readonly name: "whole" }
  /** The log has ended as the container's has; it is looked at again at `next`, in milliseconds of the epoch. */
  | { readonly name: "ended"; readonly next: number }
  /** The way to the log is lost; it is asked for again at `next`. */
  | { readonly name: "lost"; readonly why: Refused; readonly next: number }
  | { readonly name: "refused"; readonly why: Refused };

export interface LogListener {
  lines(lines: readonly LogLine[]): void;
  state(state: LogState): void;
}

/** Asks for a log; `query` begins with a question mark. Rejects where no answer comes. */
export type Ask = (query: string, signal: AbortSignal) => Promise<Response | Refused>;

export class LogFollow implements Disposable {
  readonly #ask: Ask;
  readonly #listener: LogListener;
  readonly #previous: boolean;
  readonly #position = new Position();
  #request: AbortController | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #failures = 0;

  /** `previous`: the log of the container's run before this one, which ends. */
  constructor(ask: Ask, previous: boolean, listener: LogListener) {
    this.#ask = ask;
    this.#previous = previous;
    this.#listener = listener;
    this.resume();
  }

  /** Asks for what is new, at once. */
  resume(): void {
    this.#stop();
    void this.#read((this.#request = new AbortController()));
  }

  /** Reads no more until `resume`, which goes on where this stopped. */
  pause(): void {
    this.#stop();
    this.#listener.state({ name: "paused" });
  }

  dispose(): void {
    this.#stop();
  }

  #stop(): void {
    clearTimeout(this.#timer);
    this.#request?.abort();
    this.#request = undefined;
  }

  async #read(request: AbortController): Promise<void> {
    const current = (): boolean => request === this.#request;
    this.#listener.state({ name: "asking" });
    let why: Refused | undefined;
    try {
      const answer = await this.#ask(this.#query(), request.signal);
      if (!current()) return;
      if (!(answer instanceof Response)) why = answer;
      else if (answer.body) await this.#take(answer.body.getReader(), current);
    } catch (error) {
      why = { status: 0, message: error instanceof Error ? error.message : "" };
    }
    if (!current()) return;
    if (why && !this.#passes(why)) return this.#listener.state({ name: "refused", why });
    if (this.#previous && !why) return this.#listener.state({ name: "whole" });
    const pause = PAUSES[Math.min(this.#failures, PAUSES.length - 1)] ?? 0;
    this.#failures += 1;
    const next = Date.now() + pause;
    this.#timer = setTimeout(() => this.resume(), pause);
    this.#listener.state(why ? { name: "lost", why, next } : { name: "ended", next });
  }

  /** Returns true for a refusal that may pass: a container that waits to be started is a bad request to the API. */
  #passes({ status }: Refused): boolean {
    return status === 0 || status >= 500 || status === 429 || (status === 400 && !this.#previous);
  }

  #query(): string {
    const { since } = this.#position;
    this.#position.again();
    const from = since ? { sinceTime: since } : { tailLines: `${TAIL}` };
    const which = this.#previous ? { previous: "true" } : { follow: "true" };
    return `?${new URLSearchParams({ ...which, ...from, timestamps: "true" }).toString()}`;
  }

  async #take(reader: ReadableStreamDefaultReader<Uint8Array>, current: () => boolean): Promise<void> {
    const splitter = new LineSplitter();
    this.#listener.state({ name: "following" });
    const give = (lines: readonly LogLine[]): void => {
      const fresh = lines.filter(({ time }) => this.#position.take(time));
      if (fresh.length > 0) this.#failures = 0;
      if (fresh.length > 0) this.#listener.lines(fresh);
    };
    for (;;) {
      const { done, value } = await reader.read();
      if (!current()) return;
      if (done) return give(splitter.end());
      give(splitter.push(value));
    }
  }
}
