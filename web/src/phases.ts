/** Records the phases in which a session is opened, and how long each took. */

export class Phases {
  readonly #passed: { name: string; milliseconds: number }[] = [];
  #name: string | undefined;
  #since = 0;

  /** Begins a phase, and ends the one before. One that begins without a name gets that of the next call. */
  begin(name: string): void {
    if (this.#name === "") this.#name = name;
    else this.#next(name);
  }

  /** Ends the present phase. `name`: of one that has none. */
  end(name = ""): void {
    if (this.#name === "") this.#name = name;
    this.#next(undefined);
  }

  /** Describes all phases in a line: those that have passed with their times, the present one with the time so far. */
  get text(): string {
    const now = this.#name ? [`${this.#name} … ${seconds(performance.now() - this.#since)}`] : [];
    return [...this.#passed.map(({ name, milliseconds }) => `${name} ${seconds(milliseconds)}`), ...now].join(", ");
  }

  #next(name: string | undefined): void {
    const now = performance.now();
    if (this.#name) this.#passed.push({ name: this.#name, milliseconds: now - this.#since });
    this.#name = name;
    this.#since = now;
  }
}

function seconds(milliseconds: number): string {
  return milliseconds < 995 ? `${Math.max(1, Math.round(milliseconds))} ms` : `${(milliseconds / 1000).toFixed(1)} s`;
}
