/** Runs a session on the screen: draws and acknowledges output, sends keys and sizes, and stores all for a reload. */

import * as access from "../access.ts";
import type { Kept, SessionEvent } from "../events.ts";
import * as tabStorage from "../tab_storage.ts";
import { Store, type Disposable } from "../lifecycle.ts";
import { OutputQueue } from "../output.ts";
import type { Screen } from "../screen.ts";
import { Session } from "../session.ts";
import { connect } from "../socket.ts";
import { bind, nudge, TIDY, type Binding } from "../terminal.ts";
import { modifiers } from "./touch_bar.ts";

/** Matches reports of the focus and the mouse, which are no keys. */
const REPORT = /^\x1b\[([IO]$|<)/;
/** Milliseconds after a replay begins during which the terminal may answer the replayed questions. */
const SETTLED = 500;

export interface Start {
  /** Path of the exec endpoint. */
  readonly path: string;
  /** Names the session in the tab's storage. */
  readonly key: string;
  /** True if Ctrl-C and its like drop a flood: the gateway has started the shell. */
  readonly drops: boolean;
  /** Session to attach to; undefined opens a new session. */
  readonly kept?: Kept | undefined;
  /** True if a full-screen program has the screen, and should draw the screen again. */
  readonly redraw?: boolean;
}

export class Run implements Disposable {
  readonly session: Session;
  readonly #start: Start;
  readonly #screen: Screen;
  readonly #tell: (event: SessionEvent) => void;
  readonly #store = new Store();
  readonly #output: OutputQueue;
  readonly #binding: Binding;
  #redraw: boolean;

  /** Opens the session, or attaches to it; `tell` receives the events that a person may have to know. */
  constructor(screen: Screen, start: Start, tell: (event: SessionEvent) => void) {
    this.#start = start;
    this.#screen = screen;
    this.#tell = tell;
    this.#redraw = start.redraw ?? false;
    const { terminal } = screen;
    const { path, kept, drops } = start;
    const open = (where: string) => connect(where, access.token() ?? "");
    const handle = (event: SessionEvent): void => this.#handle(event);
    this.session = kept ? Session.attach(open, kept, handle) : Session.exec(open, path, handle);
    const drawn = (offset: number): void => this.session.drawn(offset);
    const gapped = (): void => this.#nudge();
    this.#output = this.#store.add(new OutputQueue(terminal, kept?.offset ?? 0, { drawn, gapped }, { drops }));
    this.#binding = this.#store.add(bind(terminal, this.session, (text) => this.#typed(text)));
  }

  /** Calls `callback` once, as soon as all output received so far is on the screen. */
  whenDrawn(callback: () => void): void {
    this.#output.whenDrawn(callback);
  }

  /** Returns what an attach needs to go on from the screen; undefined if the session ends with its connection. */
  get kept(): Kept | undefined {
    return this.session.kept(this.#output.offset);
  }

  /** Stores session and screen, so that this tab finds both again; with `taken`, the tab attaches only when asked. */
  keep(taken = false): void {
    const { kept } = this;
    if (kept) tabStorage.keep(this.#start.key, { kept, screen: this.#screen.copy(this.#output), taken });
  }

  /** Stores and detaches a session that outlives its connection, and ends any other session. */
  leave(): void {
    if (this.kept && !this.session.ended) {
      this.keep();
      this.session.leave();
    }
    this.dispose();
  }

  dispose(): void {
    this.session.dispose();
    this.#store.dispose();
  }

  #handle(event: SessionEvent): void {
    switch (event.type) {
      case "output":
        return this.#output.push(event.data);
      case "gap":
        return this.#output.gap(event.bytes);
      case "hello": {
        // a tab that crashes has no time to copy the screen: it gets the newest output that the gateway has
        const { kept } = this;
        if (kept) tabStorage.keep(this.#start.key, { kept: { ...kept, offset: null, input: undefined }, taken: false });
        else tabStorage.forget(this.#start.key);
        break;
      }
      case "back":
        if (event.newest) this.#replay();
        if (event.modes) this.#output.modes(TIDY + event.modes);
        if (this.#redraw || event.newest) this.#store.add(nudge(this.#screen.terminal, this.session));
        this.#redraw = false;
        break;
    }
    this.#tell(event);
  }

  #typed(text: string): string {
    if (REPORT.test(text)) return text;
    const sent = modifiers.apply(text);
    this.#output.typed(sent);
    return sent;
  }

  #nudge(): void {
    const { terminal } = this.#screen;
    if (terminal.buffer.active.type === "alternate") this.#store.add(nudge(terminal, this.session));
  }

  #replay(): void {
    this.#binding.replaying = true;
    const timer = setTimeout(() => (this.#binding.replaying = false), SETTLED);
    this.#store.onDispose(() => clearTimeout(timer));
  }
}
