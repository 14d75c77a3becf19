/** Shows a terminal and its session; after the end, opens a new session only when the person asks. */

import { make } from "../elements.ts";
import { takeCopies } from "../clipboard.ts";
import { describeEnding, type EndingWords } from "../endings.ts";
import type { Ending, Kept, SessionEvent } from "../events.ts";
import * as tabStorage from "../tab_storage.ts";
import { listen, onVisible, Store, type Disposable } from "../lifecycle.ts";
import { execPath, type Argv, type Target } from "../protocol/target.ts";
import { createScreen, type Screen } from "../screen.ts";
import type { TabStatus } from "../status.ts";
import { say } from "../terminal.ts";
import { describeTarget } from "../words.ts";
import { guardPaste } from "../paste.ts";
import { askWhy } from "./ask_why.ts";
import { EndBar } from "./end_bar.ts";
import { Run, type Start } from "./run.ts";
import { tell } from "./shell_events.ts";
import { ShellPanels } from "./shell_panels.ts";
import { takeKeys } from "./shell_keys.ts";
import { SearchBar } from "./search_bar.ts";
import { LiveNotices } from "./live_notices.ts";
import { Opening } from "./opening.ts";

const RED = "\x1b[31m";

export interface Shell {
  readonly target: Target;
  readonly argv: Argv;
  /** Names the session in this tab's storage. */
  readonly key: string;
  readonly status: TabStatus;
  /** Hears that there is new output. */
  active(): void;
  /** Returns true while this shell is the one to have the keyboard. */
  front(): boolean;
  unauthorized(message: string): void;
}

export class ShellView implements Disposable {
  readonly #shell: Shell;
  readonly #what: "shell" | "command";
  readonly #store = new Store();
  readonly screen: Screen;
  readonly #notices: LiveNotices;
  readonly #opening: Opening;
  readonly #panels: ShellPanels;
  readonly #bar: EndBar;
  readonly search: SearchBar;
  #run: Run | undefined;
  /** True while Enter opens a new session. */
  invites = false;
  /** True while another client has the session. */
  #taken = false;

  constructor(host: HTMLElement, shell: Shell) {
    this.#shell = shell;
    this.#what = shell.argv.length > 0 ? "command" : "shell";
    const place = make("div", { class: "screen" });
    this.#notices = this.#store.add(new LiveNotices(this.#what, describeTarget(shell.target)));
    this.#opening = this.#store.add(new Opening(this.#what, shell.status, this.#notices));
    this.#bar = new EndBar(this.#what === "shell" ? "New shell" : "Run again", () => this.invites && this.#again());
    this.#notices.element.addEventListener("click", () => this.screen.terminal.focus());
    const stage = make("div", { class: "stage" }, place, this.#notices.element);
    this.#panels = this.#store.add(new ShellPanels(stage, { ...shell, focus: () => this.focus() }));
    host.replaceChildren(this.#panels.element, this.#bar.element);
    this.screen = this.#store.add(createScreen(place));
    this.search = this.#store.add(new SearchBar(this.screen.terminal));
    place.after(this.search.element);
    this.#store.add(guardPaste(this.screen.terminal, place));
    this.#store.add(takeCopies(this.screen.terminal, shell.front, this.#notices));
    this.#listen();
    shell.status.target(shell.target);
    const record = tabStorage.find(shell.key);
    if (record) this.#resume(record);
    else this.#start();
  }

  dispose(): void {
    const run = this.#run;
    this.#run = undefined;
    if (!this.#taken) run?.leave();
    run?.dispose();
    this.#store.dispose();
  }

  /** True while another client has the session, which can be taken back. */
  get elsewhere(): boolean {
    return this.#taken;
  }

  focus(): void {
    this.screen.terminal.focus();
    this.#run?.session.check();
  }

  /** Takes text as typed here. */
  type(text: string): void {
    this.screen.terminal.input(text);
  }

  /** Ends what runs here, after the person has agreed, and calls `ended`. */
  end(ended: () => void): void {
    if (!this.live) return ended();
    this.#notices.end(() => {
      this.finish();
      ended();
    });
  }

  /** Ends what runs here. */
  finish(): void {
    this.#run?.dispose();
    this.#run = undefined;
    tabStorage.forget(this.#shell.key);
  }

  /** Calls `go` at once if nothing runs here; otherwise asks the person first. */
  beforeSignOut(go: () => void): void {
    if (this.live) this.#notices.signOut(go);
    else go();
  }

  #listen(): void {
    const { terminal } = this.screen;
    const showSize = (): void => this.#shell.status.size({ columns: terminal.cols, rows: terminal.rows });
    showSize();
    this.#store.add(terminal.onResize(showSize));
    this.#store.add(terminal.onWriteParsed(() => this.#shell.active()));
    this.#store.add(terminal.onData((keys) => keys === "\r" && this.invites && this.#again()));
    takeKeys(terminal, this);
    this.#store.add(listen(window, "beforeunload", (event) => {
      if (this.live) event.preventDefault(); // Ctrl-W, which deletes a word in a shell, closes a tab
    }));
    this.#store.add(listen(window, "pagehide", () => this.live && this.#run?.keep()));
    this.#store.add(listen(window, "online", () => this.#run?.session.check()));
    this.#store.add(onVisible(() => this.#run?.session.check()));
  }

  /** True while the session has not ended. */
  get live(): boolean {
    return this.#run !== undefined && !this.#run.session.ended;
  }

  /** Attaches to the session that this tab had before a reload, or offers the session if another client has it. */
  #resume(record: tabStorage.Record): void {
    const { screen, taken } = record;
    const kept = screen ? record.kept : { ...record.kept, offset: null };
    const go = (): void => {
      const words = describeEnding({ type: "failed", begun: true, code: "taken_over", hop: "", message: "" }, this.#what);
      if (taken) this.#elsewhere(words, kept);
      else this.#start({ kept, redraw: screen?.alternate ?? false });
    };
    this.#shell.status.state("busy", "reconnecting");
    if (screen) this.screen.restore(screen, go);
    else go();
  }

  #start(how: Omit<Start, "path" | "key" | "drops"> = {}): void {
    if (this.#store.disposed) return;
    const { status } = this.#shell;
    this.#bar.hide();
    this.invites = this.#taken = false;
    this.#notices.clear();
    this.#run?.dispose();
    status.state("busy", how.kept ? "reconnecting" : "connecting");
    const { target, argv, key, front } = this.#shell;
    const start = { path: execPath(target, argv), key, drops: this.#what === "shell", ...how };
    this.#run = new Run(this.screen, start, (event) => this.#handle(event));
    if (front()) this.screen.terminal.focus();
    if (!how.kept) this.#opening.begin();
  }

  /** Opens a new session, because the person asks for a new session. */
  #again(): void {
    const ended = this.#run;
    tabStorage.forget(this.#shell.key);
    this.invites = false;
    this.#notices.clear();
    say(this.screen.terminal, [`New ${this.#what} in ${describeTarget(this.#shell.target)}`], () => {
      if (ended === this.#run) this.#start();
    });
  }

  #handle(event: SessionEvent): void {
    this.#opening.hear(event);
    this.#panels.hear(event);
    if (event.type === "ended") return void this.#ended(event.ending);
    if (event.type === "unopened") return void this.#askWhy({ quiet: true });
    const { terminal } = this.screen;
    tell(event, { shell: this.#shell, what: this.#what, notices: this.#notices, opening: this.#opening, terminal, session: () => this.#run?.session });
  }

  async #ended(ending: Ending): Promise<void> {
    const run = this.#run;
    this.#shell.status.kept(undefined);
    this.#shell.status.opened(undefined);
    this.#shell.status.pulse(undefined);
    this.#notices.clear();
    const words = ending.type === "unopened" ? await this.#askWhy({ quiet: false }) : describeEnding(ending, this.#what);
    if (!words || !run || run !== this.#run) return;
    this.#shell.status.state(words.mood, words.state);
    run.whenDrawn(() => {
      if (run !== this.#run) return;
      if (words.elsewhere) return this.#elsewhere(words, run.kept);
      tabStorage.forget(this.#shell.key);
      this.#invite(words, ending.type === "failed" && ending.code === "too_many_sessions");
    });
  }

  /** Offers to attach again, or a new session, after the session was taken over or the gateway stayed out of reach. The
   * terminal keeps its content, so that the session can go on from this content.
   */
  #elsewhere(words: EndingWords, kept: Kept | undefined): void {
    this.#taken = words.elsewhere === "taken";
    this.invites = !this.#taken;
    this.#shell.status.state(words.mood, words.state);
    if (this.#taken) this.#run?.keep(true);
    else tabStorage.forget(this.#shell.key);
    const again = { label: this.#what === "shell" ? "New shell" : "Run again", press: (): void => this.#again() };
    if (!kept) return this.#notices.elsewhere(words, [again]);
    const label = this.#taken ? "Take it back" : "Try again";
    const secret = this.#taken ? null : kept.secret;
    const until = this.#taken ? kept.until : Date.now(); // one retry: the grace is over, by this computer's clock
    const back = { label, press: (): void => this.#start({ kept: { ...kept, secret, until }, redraw: this.screen.terminal.buffer.active.type === "alternate" }) };
    this.#notices.elsewhere(words, [back, again]);
  }

  #invite({ mood, sentence }: EndingWords, full: boolean): void {
    const invitation = this.#what === "shell" ? "for a new shell" : "to run the command again";
    const colour = mood === "bad" ? RED : "";
    say(this.screen.terminal, [colour + sentence, `Press Enter ${invitation}.`], () => {
      this.invites = true;
      this.#bar.show(full);
    });
  }

  /** Returns why the gateway did not take the WebSocket, in words for the person; undefined if the token was refused,
   * another session has begun, or `quiet` asks about the token alone.
   */
  async #askWhy({ quiet }: { quiet: boolean }): Promise<EndingWords | undefined> {
    const run = this.#run;
    const why = await askWhy();
    if (run !== this.#run) return undefined;
    if (why.type === "words") return quiet ? undefined : why.words;
    this.#shell.unauthorized(why.message);
    return undefined;
  }
}
