/** Remembers how far a log was read, so that what is read again is told apart from what is new.
 *
 * A log can be asked for from a whole second on, several lines may have the same time, and some stand out of order, since
 * stdout and stderr are stamped side by side. So of each time that came again as many lines are left out as were taken.
 */

import { secondOf } from "./lines.ts";

/** Seconds by which lines may stand out of order. */
const SLACK = 2;
/** Times that are remembered at most before the old ones are forgotten. */
const MOST = 4096;

export class Position {
  readonly #taken = new Map<string, number>();
  #again = new Map<string, number>();
  #last = "";
  #floor = 0;

  /** Time from which the log has to be read again, in RFC 3339; undefined before there was a line. */
  get since(): string | undefined {
    return this.#last ? new Date((secondOf(this.#last) - SLACK) * 1000).toISOString().replace(".000Z", "Z") : undefined;
  }

  /** Begins to read the log again, from `since` on. */
  again(): void {
    if (!this.#last) return;
    this.#floor = secondOf(this.#last) - SLACK;
    this.#forget();
    this.#again = new Map(this.#taken);
  }

  /** Returns true for a line that is new, and remembers the line; a line without a time is always new. */
  take(time: string): boolean {
    if (!time) return true;
    const left = this.#again.get(time) ?? 0;
    if (left > 0) {
      this.#again.set(time, left - 1);
      return false;
    }
    if (secondOf(time) < this.#floor) return false;
    this.#taken.set(time, (this.#taken.get(time) ?? 0) + 1);
    if (time > this.#last) this.#last = time;
    if (this.#taken.size > MOST) this.#forget();
    return true;
  }

  #forget(): void {
    const oldest = secondOf(this.#last) - SLACK;
    for (const time of this.#taken.keys()) if (secondOf(time) < oldest) this.#taken.delete(time);
  }
}
