/** A gateway in memory that keeps one session: it counts what arrives, and can be cut off at any moment. */

import assert from "node:assert/strict";
import { FakeSocket } from "./socket.ts";

export class FakeGateway {
  /** All output that the command has written. */
  written = "";
  /** All input that the command has been given. */
  taken = "";
  readonly sockets: FakeSocket[] = [];
  readonly window: number;
  #secret = 0;
  /** Of the first byte of input on the latest socket. */
  #base = 0;
  #sent = 0;

  constructor(window: number) {
    this.window = window;
  }

  readonly connect = (): FakeSocket => {
    const socket = new FakeSocket();
    this.sockets.push(socket);
    return socket;
  };

  get socket(): FakeSocket {
    const socket = this.sockets.at(-1);
    assert.ok(socket);
    return socket;
  }

  /** Opens the latest socket, and says hello; to an attach only if it knows the secret. `overlap`: bytes sent again. */
  accept(overlap = 0): void {
    this.socket.open();
    const [attach] = this.socket.controls();
    if (attach) assert.equal(attach["secret"], `s${this.#secret}`);
    const wanted = Number(attach?.["offset"] ?? 0);
    assert.ok(wanted <= this.written.length, "an offset beyond the end");
    this.#secret += 1;
    this.#sent = Math.max(0, wanted - overlap);
    this.#base = this.taken.length;
    this.socket.hello({ secret: `s${this.#secret}`, offset: this.#sent, received: this.taken.length, window: this.window });
  }

  /** Sends so many bytes of output more, as far as the window goes. */
  send(bytes: number): void {
    const seen = this.socket.controls().filter(({ type }) => type === "seen" || type === "attach").at(-1);
    const most = Number(seen?.["offset"] ?? 0) + this.window;
    const end = Math.min(this.written.length, this.#sent + bytes, most);
    if (end > this.#sent) this.socket.receive(1, this.written.slice(this.#sent, end));
    this.#sent = Math.max(end, this.#sent);
  }

  /** Gives so many of the bytes that have arrived to the command. */
  take(bytes: number): void {
    const arrived = this.socket.bytes(0).toString();
    assert.ok(this.#base + arrived.length <= this.taken.length + this.window, "more than the window");
    const from = this.taken.length - this.#base;
    this.taken += arrived.slice(from, from + bytes);
  }

  acknowledge(): void {
    this.socket.receive(5, { type: "received", offset: this.taken.length });
  }
}
