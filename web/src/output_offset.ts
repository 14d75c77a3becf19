/** Tracks the offset of the output, so that each byte is shown once and every gap is reported. */

export class OutputOffset {
  /** Offset of the next new byte. */
  next: number;
  /** True if the next attach asks for the newest output that the gateway has. */
  newest: boolean;
  /** Bytes that the gateway is about to send a second time. */
  #again = 0;

  /** Starts at an `offset` as in `Kept`; null starts with the newest output. */
  constructor(offset: number | null) {
    this.next = offset ?? 0;
    this.newest = offset === null;
  }

  /** Returns the offset that an attach asks for; null asks for the newest output. */
  get wanted(): number | null {
    return this.newest ? null : this.next;
  }

  /** Returns the new bytes of `data`, without the bytes that were received before, and moves `next` behind `data`. */
  take(data: Uint8Array): Uint8Array {
    const fresh = data.subarray(Math.min(this.#again, data.length));
    this.#again -= data.length - fresh.length;
    this.skip(fresh.length);
    return fresh;
  }

  /** Moves `next` past `bytes` that were dropped. */
  skip(bytes: number): void {
    this.next += bytes;
  }

  /** Goes on with a new connection, whose output begins at `offset`. Returns how many bytes are missing before. */
  resume(offset: number): number {
    const { next } = this;
    this.newest = false;
    this.#again = Math.max(0, next - offset);
    this.next = Math.max(next, offset);
    return Math.max(0, offset - next);
  }
}
