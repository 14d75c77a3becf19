/** A socket in memory. `takes` says whether what is sent leaves at once or waits inside. */

import type { Socket, SocketListener } from "../../src/connection.ts";

export class FakeSocket implements Socket {
  readonly sent: Uint8Array[] = [];
  /** The code that it was closed with from this side. */
  closed: number | undefined;
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

  close(code: number): void {
    this.closed ??= code;
  }

  listen(listener: SocketListener): void {
    this.#listener = listener;
  }

  open(): void {
    this.#listener?.opened();
  }

  /** As the other side closes, or nobody does. */
  lose(): void {
    this.#listener?.closed();
  }

  /** What waits inside has left. */
  drain(): void {
    this.#waiting = 0;
  }

  deliver(payload: Uint8Array): void {
    this.#listener?.received(payload);
  }

  receive(stream: number, data: string | Uint8Array | object): void {
    const body = data instanceof Uint8Array ? data : Buffer.from(typeof data === "string" ? data : JSON.stringify(data));
    this.#listener?.received(Uint8Array.of(stream, ...body));
  }

  /** The first word of a session. `resume`: what it says besides `offset` and `received`, which are 0 for a new one.
   * `window`: of the input of one that cannot be resumed.
   */
  hello(resume: object | null = null, window: number | null = null): void {
    const given = resume && { secret: "s1", grace: 600, offset: 0, received: 0, window: 256 * 1024, ...resume };
    this.receive(5, { type: "hello", session: "name", target: { container: "main" }, window, resume: given });
  }

  /** What was said on the control stream, pings left out. */
  controls(): { type: string; [name: string]: unknown }[] {
    return this.texts(5).map((text) => JSON.parse(text)).filter(({ type }) => type !== "ping");
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
