/** Runs one session over as many connections as needed: takes keys and sizes, emits typed events, knows no terminal. */

import { OutputOffset } from "./output_offset.ts";
import { Reconnect, PASSING } from "./reconnect.ts";
import { CLOSE, Connection, type Socket } from "./connection.ts";
import { type Ending, endingIn, endingOf, type Kept, type SessionEvent } from "./events.ts";
import { InputQueue } from "./input.ts";
import type { Disposable } from "./lifecycle.ts";
import type { Control, Reason } from "./protocol/control.ts";
import type { ServerMessage, Size } from "./protocol/messages.ts";
import { attachPath } from "./protocol/target.ts";
import { Acknowledger } from "./acknowledge.ts";

export class Session implements Disposable {
  readonly #open: (path: string) => Socket;
  readonly #emit: (event: SessionEvent) => void;
  readonly #input = new InputQueue();
  readonly #seen = new Acknowledger((offset) => this.#connection?.say({ type: "control", control: { type: "seen", offset } }));
  #connection: Connection | undefined;
  #away: Reconnect | undefined;
  #phase: "connecting" | "open" | "started" | "ended" = "connecting";
  #spoken = false;
  #size: Size | undefined;
  #kept: Pick<Kept, "name" | "secret" | "grace"> | undefined;
  #arrivals = new OutputOffset(0);

  private constructor(open: (path: string) => Socket, emit: (event: SessionEvent) => void) {
    this.#open = open;
    this.#emit = emit;
  }

  /** Opens a new session at `path`, the exec endpoint with its query. */
  static exec(open: (path: string) => Socket, path: string, emit: (event: SessionEvent) => void): Session {
    const session = new Session(open, emit);
    session.#connect(path);
    return session;
  }

  /** Attaches to a session that exists already. The session is away until the gateway accepts the attach. */
  static attach(open: (path: string) => Socket, kept: Kept, emit: (event: SessionEvent) => void): Session {
    const session = new Session(open, emit);
    session.#kept = kept;
    session.#arrivals = new OutputOffset(kept.offset);
    session.#spoken = true;
    if (kept.input) session.#input.restore(kept.input);
    session.#leaveFor(kept.until);
    session.#away?.now();
    return session;
  }

  get ended(): boolean {
    return this.#phase === "ended";
  }

  /** Returns what an attach needs that has the output before `offset`; undefined while none would be taken. */
  kept(offset: number): Kept | undefined {
    if (!this.#kept) return undefined;
    const until = this.#away?.until ?? Date.now() + this.#kept.grace * 1000;
    return { ...this.#kept, offset, until, input: this.#input.state };
  }

  /** Time of the next retry, in milliseconds of the epoch; undefined while one is under way, or the session is here. */
  get retry(): number | undefined {
    return this.#away?.next;
  }

  /** What waits to be sent. */
  get input(): Pick<InputQueue, "held" | "drop"> {
    return this.#input;
  }

  /** Sends input in order, as credit allows. Emits `tooMuch`, and sends nothing of `data`, if too much would wait, and
   * `held` while much waits. Ctrl-C alone drops the waiting input and takes its place.
   */
  write(data: string | Uint8Array): void {
    if (this.ended) return;
    if (!this.#input.push(data)) this.#emit({ type: "tooMuch", units: data.length });
    if (this.#input.isLong) this.#emit({ type: "held" });
  }

  /** Puts the end of an idle session off. */
  stay(): void {
    this.#connection?.say({ type: "control", control: { type: "stay" } });
  }

  /** Sends the terminal's size, and sends the latest size again on each new connection. */
  resize(size: Size): void {
    this.#size = size;
    if (!this.ended) this.#connection?.say({ type: "resize", size });
  }

  /** Acknowledges that all output before `offset` is on the screen. */
  drawn(offset: number): void {
    this.#seen.drawn(offset);
  }

  /** Retries at once while the session is away; otherwise checks that the connection is alive. */
  check(): void {
    if (this.#away) this.#away.now();
    else this.#connection?.check();
  }

  /** Ends the session, and emits `ended`. */
  finish(): void {
    if (this.ended) return;
    this.#connection?.close(CLOSE.end);
    this.#end({ type: "closed" });
  }

  /** Detaches without another event; the session goes on for its grace. */
  leave(): void {
    this.#stop(CLOSE.leave);
  }

  /** Ends the session without another event. */
  dispose(): void {
    this.#stop(CLOSE.end);
  }

  #connect(path: string): void {
    this.#connection = new Connection(this.#open(path), {
      opened: () => this.#opened(),
      received: (message) => this.#received(message),
      measured: (milliseconds) => this.#emit({ type: "pulse", milliseconds }),
      lost: (opened) => this.#lost(opened),
    });
  }

  #opened(): void {
    const attach = this.#away && this.#kept && ({ type: "attach", secret: this.#kept.secret, offset: this.#arrivals.wanted } as const);
    if (attach) this.#connection?.say({ type: "control", control: attach });
    if (this.#size) this.resize(this.#size);
    if (!this.#kept) this.#emit({ type: "reached" });
  }

  #received(message: ServerMessage): void {
    if (this.ended) return;
    if (message.type === "output") this.#output(message.data);
    else if (message.type === "control") this.#controlled(message.control);
    else if (message.type === "status") this.#end(endingOf(message.status, this.#spoken));
  }

  #output(whole: Uint8Array): void {
    const data = this.#arrivals.take(whole);
    if (data.length === 0) return; // output that was received before, or Kubernetes' empty hello
    this.#spoken = true;
    this.#started("");
    this.#emit({ type: "output", data });
  }

  #controlled(control: Control): void {
    switch (control.type) {
      case "hello":
        return this.#welcome(control);
      case "started":
        return this.#started(control.way);
      case "received":
        return this.#input.acknowledge(control.offset);
      case "gap":
        this.#arrivals.skip(control.bytes);
        return this.#emit(control);
      case "refused":
        return this.#refused(control);
      case "end":
        return this.#end(endingIn(control, this.#spoken));
      case "pong":
        return;
      default:
        return this.#emit(control);
    }
  }

  #welcome({ session, namespace, pod, container, window, resume, age, note }: Extract<Control, { type: "hello" }>): void {
    const connection = this.#connection;
    if (!connection || this.ended) return;
    const back = this.#away !== undefined;
    this.#away?.dispose();
    this.#away = undefined;
    this.#kept = resume && { name: session, secret: resume.secret, grace: resume.grace };
    this.#phase = back ? "started" : "open";
    this.#emit({ type: "hello", namespace, pod, container, grace: resume?.grace, age, note: back || resume?.offset ? "" : note });
    if (back) this.#back(resume?.offset ?? 0, resume?.modes ?? "");
    connection.watch();
    this.#input.open(connection, resume ?? (window === undefined ? undefined : { received: 0, window }));
    if (resume) this.#seen.start(resume.offset, resume.window);
  }

  #back(offset: number, modes: string): void {
    const { newest, next } = this.#arrivals;
    this.#emit({ type: "back", newest: newest && next === 0, modes: newest ? modes : "" });
    const missing = this.#arrivals.resume(offset);
    if (missing > 0) this.#emit({ type: "gap", bytes: missing });
  }

  #started(way: string): void {
    if (this.#phase !== "connecting" && this.#phase !== "open") return;
    this.#phase = "started";
    this.#emit({ type: "started", way });
  }

  #refused(why: Reason): void {
    const away = this.#away;
    const anew = why.code === "offset_gone" && !this.#arrivals.newest;
    if (!away || !(anew || PASSING.includes(why.code))) return this.#end({ ...why, type: "failed", begun: away !== undefined });
    this.#arrivals.newest ||= anew;
    this.#connection?.close(CLOSE.leave);
    away.failed();
    if (anew && !this.ended) away.now();
  }

  #lost(opened: boolean): void {
    if (this.ended) return;
    if (!this.#kept) return this.#end({ type: opened ? "lost" : "unopened" });
    if (!this.#away) return this.#leaveFor(Date.now() + this.#kept.grace * 1000);
    if (!opened) this.#emit({ type: "unopened" });
    this.#away?.failed();
  }

  #leaveFor(until: number): void {
    this.#input.close();
    this.#seen.stop();
    this.#away = new Reconnect(until, {
      begin: () => this.#connect(attachPath(this.#kept?.name ?? "")),
      abandon: () => this.#connection?.close(CLOSE.leave),
      giveUp: () => this.#end({ type: "gaveUp" }),
    });
    this.#emit({ type: "away", until });
  }

  #end(ending: Ending): void {
    if (this.ended) return;
    this.#settle();
    this.#emit({ type: "ended", ending });
  }

  #stop(code: number): void {
    this.#settle();
    this.#connection?.close(code);
    this.#connection = undefined;
  }

  #settle(): void {
    this.#phase = "ended";
    this.#away?.dispose();
    this.#away = undefined;
    this.#input.dispose();
    this.#seen.dispose();
  }
}
