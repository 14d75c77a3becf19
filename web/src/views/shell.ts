/** A terminal and its session; after the end, a new one when the person asks for it. */

import * as access from "../access.ts";
import { make } from "../elements.ts";
import { listen, Store, type Disposable } from "../lifecycle.ts";
import { OutputQueue } from "../output.ts";
import { execPath, isName, type Argv, type Target } from "../protocol/target.ts";
import { createScreen, type Screen } from "../screen.ts";
import { ExecSession, type Ending, type SessionEvent } from "../session.ts";
import { connect } from "../socket.ts";
import type { StatusLine } from "../status.ts";
import { bind, say } from "../terminal.ts";
import { describeEnding, describeTarget, visible, type EndingWords } from "../words.ts";

const RED = "\x1b[31m";

export interface Shell {
  readonly target: Target;
  readonly argv: Argv;
  readonly status: StatusLine;
  unauthorized(message: string): void;
}

export class ShellView implements Disposable {
  readonly #shell: Shell;
  readonly #what: "shell" | "command";
  readonly #store = new Store();
  readonly #screen: Screen;
  readonly #output: OutputQueue;
  readonly #bar: HTMLElement;
  /** The session and what is tied to it; replaced as one. */
  #run = new Store();
  #session: ExecSession | undefined;
  /** True while Enter means a new session. */
  #invites = false;

  constructor(host: HTMLElement, shell: Shell) {
    this.#shell = shell;
    this.#what = shell.argv.length > 0 ? "command" : "shell";
    const place = make("div", { class: "screen" });
    this.#bar = this.#makeBar();
    host.replaceChildren(place, this.#bar);
    this.#screen = this.#store.add(createScreen(place));
    this.#output = this.#store.add(new OutputQueue(this.#screen.terminal));
    this.#listen();
    this.#start();
  }

  dispose(): void {
    this.#session = undefined;
    this.#run.dispose();
    this.#store.dispose();
  }

  #listen(): void {
    const { terminal } = this.#screen;
    const showSize = (): void => this.#shell.status.size({ columns: terminal.cols, rows: terminal.rows });
    showSize();
    this.#store.add(terminal.onResize(showSize));
    this.#store.add(terminal.onData((keys) => keys === "\r" && this.#again()));
    // An Enter held down since before the end asks for nothing
    terminal.attachCustomKeyEventHandler((event) => !(this.#invites && event.key === "Enter" && event.repeat));
    this.#store.add(listen(window, "beforeunload", (event) => {
      if (this.#session && !this.#session.ended) event.preventDefault(); // Ctrl-W deletes a word in a shell
    }));
  }

  #start(): void {
    const { status, target, argv } = this.#shell;
    const { terminal } = this.#screen;
    this.#bar.hidden = true;
    status.target(target);
    status.state("busy", "connecting");
    const socket = connect(execPath(target, argv), access.token() ?? "");
    const session = new ExecSession(socket, (event) => this.#handle(event));
    this.#run.add(session);
    this.#run.add(bind(terminal, session));
    this.#session = session;
    terminal.focus();
  }

  #again(): void {
    if (!this.#invites) return;
    this.#run.dispose();
    this.#run = new Store();
    this.#invites = false;
    const ended = this.#session;
    say(this.#screen.terminal, [`New ${this.#what} in ${describeTarget(this.#shell.target)}`], () => {
      if (ended === this.#session) this.#start();
    });
  }

  #handle(event: SessionEvent): void {
    const { status, target } = this.#shell;
    switch (event.type) {
      case "hello":
        if (isName(event.container)) status.target({ ...target, container: event.container });
        return status.state("busy", "starting");
      case "started":
        return status.state("good", "connected");
      case "output":
        return this.#output.push(event.data);
      case "ended":
        return void this.#ended(event.ending);
    }
  }

  async #ended(ending: Ending): Promise<void> {
    const session = this.#session;
    const words = ending.type === "unopened" ? await this.#askWhy() : describeEnding(ending, this.#what);
    if (!words || session !== this.#session) return;
    this.#shell.status.state(words.mood, words.state);
    this.#output.whenDrawn(() => {
      if (session === this.#session) this.#invite(words);
    });
  }

  #invite({ mood, sentence }: EndingWords): void {
    const invitation = this.#what === "shell" ? "for a new shell" : "to run the command again";
    const colour = mood === "bad" ? RED : "";
    say(this.#screen.terminal, [colour + sentence, `Press Enter ${invitation}.`], () => {
      this.#invites = true;
      this.#bar.hidden = false;
    });
  }

  /** A browser hides why a handshake failed, so an ordinary request asks. */
  async #askWhy(): Promise<EndingWords | undefined> {
    const answer = await access.clusters();
    const words = (sentence: string): EndingWords => ({ state: "failed: gateway", sentence, mood: "bad" });
    if (answer.type === "ok") return words("The gateway did not take the WebSocket, though it answers. Is a proxy in between?");
    if (answer.type === "unreachable") return words(`The gateway does not answer at ${location.origin}.`);
    if (answer.status === 401) {
      this.#shell.unauthorized(answer.message);
      return undefined;
    }
    return words(`The gateway refuses: ${visible(answer.message)}`);
  }

  #makeBar(): HTMLElement {
    const button = make("button", {}, this.#what === "shell" ? "New shell" : "Run again");
    button.addEventListener("click", () => this.#again());
    return make("div", { class: "bar", hidden: "" }, button, make("a", { href: "#/" }, "Another pod"));
  }
}
