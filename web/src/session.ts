/** One exec session: a socket in, typed events out. Knows no terminal. */

import { InputQueue, type Outlet } from "./input.ts";
import type { Disposable } from "./lifecycle.ts";
import { decode, encode } from "./protocol/codec.ts";
import type { Control } from "./protocol/control.ts";
import type { Size } from "./protocol/messages.ts";
import type { Status } from "./protocol/status.ts";

export interface Socket extends Outlet {
  close(): void;
  listen(listener: SocketListener): void;
}

export interface SocketListener {
  opened(): void;
  received(payload: Uint8Array): void;
  closed(): void;
}

export type Ending =
  | { readonly type: "exited"; readonly exitCode: number }
  /** `begun` is false where the command has written nothing: kubectl was started, the shell perhaps never. */
  | {
      readonly type: "failed";
      readonly begun: boolean;
      readonly hop: string;
      readonly code: string;
      readonly message: string;
    }
  /** The socket went away without an end. */
  | { readonly type: "lost" }
  /** The socket never opened. A browser does not tell why. */
  | { readonly type: "unopened" };

export type SessionEvent =
  | { readonly type: "hello"; readonly container: string | undefined }
  | { readonly type: "started" }
  | { readonly type: "output"; readonly data: Uint8Array }
  | { readonly type: "ended"; readonly ending: Ending };

const INTERRUPT = 0x03;

export class ExecSession implements Disposable {
  readonly #socket: Socket;
  readonly #emit: (event: SessionEvent) => void;
  readonly #input: InputQueue;
  #spoken = false;
  #phase: "connecting" | "open" | "started" | "ended" = "connecting";
  #size: Size | undefined;

  constructor(socket: Socket, emit: (event: SessionEvent) => void) {
    this.#socket = socket;
    this.#emit = emit;
    this.#input = new InputQueue(socket);
    socket.listen({
      opened: () => this.#opened(),
      received: (payload) => this.#received(payload),
      closed: () => this.#end({ type: this.#phase === "connecting" ? "unopened" : "lost" }),
    });
  }

  get ended(): boolean {
    return this.#phase === "ended";
  }

  /** In order and complete, at any size. Ctrl-C alone overtakes, and drops, what is still queued. */
  write(data: Uint8Array): void {
    if (this.ended) return;
    if (data.length === 1 && data[0] === INTERRUPT && this.#input.queued) this.#input.pushInstead(data);
    else this.#input.push(data);
  }

  /** The latest size is kept until the socket is open. */
  resize(size: Size): void {
    this.#size = size;
    if (this.#phase === "open" || this.#phase === "started") {
      this.#socket.send(encode({ type: "resize", size }));
    }
  }

  /** Ends the session without another event. */
  dispose(): void {
    this.#phase = "ended";
    this.#input.close();
    this.#socket.close();
  }

  #opened(): void {
    if (this.ended) return;
    this.#phase = "open";
    if (this.#size) this.resize(this.#size);
    this.#input.open();
  }

  #received(payload: Uint8Array): void {
    if (this.ended) return;
    const message = decode(payload);
    switch (message.type) {
      case "output":
        if (message.data.length === 0) return; // Kubernetes' hello frame
        this.#spoken = true;
        this.#started();
        return this.#emit({ type: "output", data: message.data });
      case "control":
        return this.#controlled(message.control);
      case "status":
        return this.#end(endingOf(message.status, this.#spoken));
      case "ignored":
        return;
    }
  }

  #controlled(control: Control): void {
    switch (control.type) {
      case "hello":
        return this.#emit({ type: "hello", container: control.container });
      case "started":
        return this.#started();
      case "refused":
        return this.#end({ ...control, type: "failed", begun: false });
      case "end": {
        const { exitCode } = control;
        if (exitCode !== undefined) return this.#end({ type: "exited", exitCode });
        return this.#end({ ...control, type: "failed", begun: this.#spoken });
      }
    }
  }

  #started(): void {
    if (this.#phase === "started") return;
    this.#phase = "started";
    this.#emit({ type: "started" });
  }

  #end(ending: Ending): void {
    if (this.ended) return;
    this.#phase = "ended";
    this.#input.close();
    this.#emit({ type: "ended", ending });
  }
}

/** Where a gateway says no `end` of its own, the Status alone has to do. */
function endingOf(status: Status, begun: boolean): Ending {
  if (status.exitCode !== undefined) return { type: "exited", exitCode: status.exitCode };
  return { type: "failed", begun, hop: "", code: status.reason, message: status.message };
}
