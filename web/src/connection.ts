/** One WebSocket of a session: messages in both directions, and whether its other end still lives. */

import type { Outlet } from "./input.ts";
import type { Disposable } from "./lifecycle.ts";
import { decode, encode } from "./protocol/codec.ts";
import type { ClientMessage, ServerMessage } from "./protocol/messages.ts";
import { Heartbeat } from "./heartbeat.ts";

/** 1000 ends a session, every other code leaves it. A browser lets a page say 1000 and 3000 to 4999 only. */
export const CLOSE = { end: 1000, leave: 4001 } as const;

export interface Socket extends Outlet {
  close(code: number): void;
  listen(listener: SocketListener): void;
}

export interface SocketListener {
  opened(): void;
  received(payload: Uint8Array): void;
  closed(): void;
}

export interface ConnectionListener {
  opened(): void;
  received(message: ServerMessage): void;
  /** It closed, or the other end is silent. `opened` is false where it never opened: a browser hides why. */
  lost(opened: boolean): void;
}

export class Connection implements Outlet, Disposable {
  readonly #socket: Socket;
  readonly #heartbeat: Heartbeat;
  #listener: ConnectionListener | undefined;
  #opened = false;

  constructor(socket: Socket, listener: ConnectionListener) {
    this.#socket = socket;
    this.#listener = listener;
    this.#heartbeat = new Heartbeat(
      () => this.say({ type: "control", control: { type: "ping" } }),
      () => this.#lost(),
    );
    socket.listen({
      opened: () => {
        this.#opened = true;
        this.#listener?.opened();
      },
      received: (payload) => this.#received(payload),
      closed: () => this.#lost(),
    });
  }

  say(message: ClientMessage): void {
    if (this.#opened && this.#listener) this.#socket.send(encode(message));
  }

  send(payload: Uint8Array<ArrayBuffer>): void {
    this.#socket.send(payload);
  }

  waiting(): number {
    return this.#socket.waiting();
  }

  /** From here on silence counts. */
  watch(): void {
    this.#heartbeat.start();
  }

  /** Something happened that a connection may not have survived. */
  check(): void {
    this.#heartbeat.check();
  }

  /** Nothing is told any more. */
  close(code: number): void {
    this.#listener = undefined;
    this.#heartbeat.dispose();
    this.#socket.close(code);
  }

  dispose(): void {
    this.close(CLOSE.leave);
  }

  #received(payload: Uint8Array): void {
    if (!this.#listener) return;
    this.#heartbeat.heard();
    const message = decode(payload);
    if (message.type !== "control" || message.control.type !== "pong") this.#listener.received(message);
  }

  #lost(): void {
    const listener = this.#listener;
    this.dispose();
    listener?.lost(this.#opened);
  }
}
