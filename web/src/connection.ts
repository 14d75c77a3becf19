/** Carries the messages of one WebSocket of a session, and detects that the other end is gone. */

import type { Outlet } from "./input.ts";
import type { Disposable } from "./lifecycle.ts";
import { decode, encode } from "./protocol/codec.ts";
import type { ClientMessage, ServerMessage } from "./protocol/messages.ts";
import { Heartbeat } from "./heartbeat.ts";

/** Close codes: 1000 ends a session, any other code detaches. A browser lets a page send 1000 and 3000 to 4999 only. */
export const CLOSE = { end: 1000, leave: 4001 } as const;

/** Milliseconds until the gateway has sent its first message: the gateway checks every hop before. */
const FIRST = 60_000;

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
  /** Hears how many milliseconds the gateway took to answer. */
  measured(milliseconds: number): void;
  /** Handles the loss of the connection, which closed or fell silent, or said nothing at first. `opened` is false if the connection never
   * opened: a browser hides the reason.
   */
  lost(opened: boolean): void;
}

export class Connection implements Outlet, Disposable {
  readonly #socket: Socket;
  readonly #heartbeat: Heartbeat;
  #listener: ConnectionListener | undefined;
  readonly #patience = setTimeout(() => this.#lost(true), FIRST);
  #opened = false;

  constructor(socket: Socket, listener: ConnectionListener) {
    this.#socket = socket;
    this.#listener = listener;
    this.#heartbeat = new Heartbeat(
      () => this.say({ type: "control", control: { type: "ping" } }),
      () => this.#lost(),
      (milliseconds) => this.#listener?.measured(milliseconds),
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

  /** Starts the heartbeat: from now on, a silent gateway is a lost connection. */
  watch(): void {
    this.#heartbeat.start();
  }

  /** Sends a ping at once, after something that may have cut the connection; does nothing before `watch`. */
  check(): void {
    this.#heartbeat.check();
  }

  /** Closes the WebSocket with `code`, and drops the listener: the listener hears nothing more, not even `lost`. */
  close(code: number): void {
    clearTimeout(this.#patience);
    this.#listener = undefined;
    this.#heartbeat.dispose();
    this.#socket.close(code);
  }

  dispose(): void {
    this.close(CLOSE.leave);
  }

  #received(payload: Uint8Array): void {
    if (!this.#listener) return;
    clearTimeout(this.#patience);
    this.#heartbeat.heard();
    const message = decode(payload);
    if (message.type === "control" && message.control.type === "pong") this.#heartbeat.answered();
    else this.#listener.received(message);
  }

  /** A gateway that was silent from the beginning has been reached, too, as far as anybody can tell. */
  #lost(opened = this.#opened): void {
    const listener = this.#listener;
    this.dispose();
    listener?.lost(opened);
  }
}
