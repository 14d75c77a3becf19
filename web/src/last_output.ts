/** Keeps the last output that was drawn, in which an escape sequence may be unfinished. */

/** Bytes that are kept at least, if so many were drawn. */
const LAST = 4096;

export class LastOutput {
  readonly #parts: Uint8Array[] = [];
  #bytes = 0;

  get parts(): readonly Uint8Array[] {
    return this.#parts;
  }

  add(data: Uint8Array): void {
    this.#parts.push(data);
    this.#bytes += data.length;
    for (let first = this.#parts[0]; first && this.#bytes - first.length >= LAST; first = this.#parts[0]) {
      this.#bytes -= first.length;
      this.#parts.shift();
    }
  }

  /** Forgets it all: what follows is not of one piece with it. */
  clear(): void {
    this.#parts.length = this.#bytes = 0;
  }
}
