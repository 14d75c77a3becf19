/** A socket in memory. `takes` says whether what is sent leaves at once or waits inside. */

import type { Socket, SocketListener } from "../../src/session.ts";

export class FakeSocket implements Socket {
  readonly sent: Uint8Array[] = [];
  closed = false;
  takes = true;
  #waiting = 0;
  #listener: SocketListener | undefined;

  send(payload: Uint8Array): void {
    this.sent.push(payload);
    if (!this.takes) this.#waiting += payload.length;
  }

  waiting(): number {
    return this.#waiting;
  }

  close(): void {
    this.closed = true;
  }

  listen(listener: SocketListener): void {
    this.#listener = listener;
  }

  open(): void {
    this.#listener?.opened();
  }

  lose(): void {
    this.#listener?.closed();
  }

  /** What waits inside has left. */
  drain(): void {
    this.#waiting = 0;
  }

  receive(stream: number, data: string | Uint8Array | object): void {
    const body = data instanceof Uint8Array ? data : Buffer.from(typeof data === "string" ? data : JSON.stringify(data));
    this.#listener?.received(Uint8Array.of(stream, ...body));
  }

  /** The payloads of one stream, joined. */
  bytes(stream: number): Buffer {
    return Buffer.concat(this.sent.filter((payload) => payload[0] === stream).map((payload) => payload.subarray(1)));
  }

  texts(stream: number): string[] {
    return this.sent.filter((payload) => payload[0] === stream).map((payload) => Buffer.from(payload.subarray(1)).toString());
  }
}

/** Long enough for a queue to look at its socket again. */
export async function aWhile(): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, 25));
}
