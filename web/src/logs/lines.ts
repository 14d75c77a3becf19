/** Splits a container's log, as the cluster's API sends it with timestamps, into lines with their times. */

export interface LogLine {
  /** Seconds since the epoch and nine digits of the next, as text: such times compare as their texts do. Empty where the node wrote none. */
  readonly time: string;
  readonly text: string;
}

/** Characters of a line beyond which a line is cut: what follows is left out. */
const LONGEST = 16 * 1024;
const STAMP = /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(Z|[+-]\d\d:\d\d) /;

export class LineSplitter {
  readonly #decoder = new TextDecoder();
  #held = "";
  #cut = false;

  /** Returns the lines that end in `data`. */
  push(data: Uint8Array): LogLine[] {
    const parts = (this.#held + this.#decoder.decode(data, { stream: true })).split("\n");
    this.#held = parts.pop() ?? "";
    const lines = parts.map((part) => this.#line(part));
    if (this.#held.length > LONGEST + 64) {
      this.#held = this.#held.slice(0, LONGEST + 64); // the rest of the line will be cut, too
      this.#cut = true;
    }
    return lines;
  }

  /** Returns the line that has no end, once the log has ended. */
  end(): LogLine[] {
    const rest = this.#held;
    this.#held = "";
    return rest ? [this.#line(rest)] : [];
  }

  #line(whole: string): LogLine {
    const stamp = STAMP.exec(whole);
    const text = stamp ? whole.slice(stamp[0].length) : whole;
    const cut = this.#cut || text.length > LONGEST;
    this.#cut = false;
    return { time: stamp ? timeOf(stamp) : "", text: cut ? `${text.slice(0, LONGEST)} … (cut)` : text };
  }
}

function timeOf([, second = "", fraction = "", zone = ""]: readonly string[]): string {
  const at = Date.parse(second + zone) / 1000;
  return Number.isFinite(at) ? `${at}`.padStart(11, "0") + fraction.padEnd(9, "0") : "";
}

/** Returns the second of a line's time, since the epoch. */
export function secondOf(time: string): number {
  return Number(time.slice(0, -9));
}

// Sequences that colour text, move a cursor, set a title, and whatever else a terminal would act on
const SEQUENCES = /\x1b(?:\[[0-?]*[ -/]*[@-~]|[\]PX^_][^\x07\x1b]*(?:\x07|\x1b\\)?|[ -/]*[0-~])/g;
const UNSEEN = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]/g;

/** Returns the text of a line without what a terminal would act on; other characters that nobody sees are escaped. */
export function harmless(text: string): string {
  const shown = text.replace(/\r$/, "").replace(SEQUENCES, "");
  return shown.replace(UNSEEN, (character) => `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`);
}
