/** Where the output stands, so that no byte is shown twice and none is missing unsaid. */

export class OutputOffset {
  /** The offset of the next new byte. */
  next: number;
  /** The next attach asks for what the journal still has. */
  newest: boolean;
  /** Bytes that come a second time. */
  #again = 0;

  /** `offset`: as in `Kept`. */
  constructor(offset: number | null) {
    this.next = offset ?? 0;
    this.newest = offset === null;
  }

  /** What an attach asks for. */
  get wanted(): number | null {
    return this.newest ? null : this.next;
  }

  /** What is new of the output. */
  take(data: Uint8Array): Uint8Array {
    const fresh = data.subarray(Math.min(this.#again, data.length));
    this.#again -= data.length - fresh.length;
    this.skip(fresh.length);
    return fresh;
  }

  /** So many bytes were dropped here. */
  skip(bytes: number): void {
    this.next += bytes;
  }

  /** A new connection goes on at `offset`. Returns how many bytes are missing. */
  resume(offset: number): number {
    const { next } = this;
    this.newest = false;
    this.#again = Math.max(0, next - offset);
    this.next = Math.max(next, offset);
    return Math.max(0, offset - next);
  }
}
