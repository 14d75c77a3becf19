/** Tells a person what happens to a running session, in bars that come and go by themselves. */

import { MOST_COPIED } from "../clipboard.ts";
import { hopName, type EndingWords } from "../endings.ts";
import type { SessionEvent } from "../events.ts";
import { MOST } from "../input.ts";
import type { Disposable } from "../lifecycle.ts";
import { Notices, until, type Button } from "../notices.ts";
import type { Phases } from "../phases.ts";
import type { Session } from "../session.ts";
import { duration, megabytes, visible } from "../words.ts";

/** Milliseconds before a bar mentions waiting input: most pastes are sent by then. */
const PATIENCE = 1000;

/** Milliseconds for which a bar says what is in the clipboard now. */
const BRIEF = 8000;
/** Characters of the clipboard that a bar shows. */
const SHOWN = 80;
/** Milliseconds without a connection that are worth a word, once it is back; and for which that is shown. */
const ABSENCE = 2000;
const GREETING = 6000;

type Kind = "opening" | "away" | "back" | "hop" | "warning" | "held" | "tooMuch" | "clipboard" | "end" | "elsewhere";
type Of<Type extends SessionEvent["type"]> = Extract<SessionEvent, { type: Type }>;

export class LiveNotices implements Disposable {
  readonly #what: string;
  readonly #where: string;
  readonly #notices = new Notices<Kind>();
  #patience: ReturnType<typeof setTimeout> | undefined;
  #greeting: ReturnType<typeof setTimeout> | undefined;
  /** When the connection was lost, in milliseconds of the epoch. */
  #lost = 0;

  /** `what` is a shell or a command, `where` its pod. */
  constructor(what: string, where: string) {
    this.#what = what;
    this.#where = where;
  }

  get element(): HTMLElement {
    return this.#notices.element;
  }

  /** Shows how long each phase of a slow opening takes. */
  opening(phases: Phases): void {
    this.#notices.show("opening", { mood: "busy", text: "The way to the pod is being opened.", count: () => phases.text });
  }

  opened(): void {
    this.#notices.hide("opening");
  }

  /** `retry`: when the next retry begins, in milliseconds of the epoch; undefined while one is under way. */
  away(event: Of<"away">, retry: () => number | undefined, tryNow: () => void): void {
    this.#lost = Date.now();
    const left = until(event.until);
    const next = (): string => {
      const at = retry();
      return at === undefined ? "trying" : `next try in ${Math.max(1, Math.ceil((at - Date.now()) / 1000))} s`;
    };
    const lost = navigator.onLine ? "The connection to the gateway is lost." : "This computer is offline.";
    this.#notices.hide("back", "hop", "warning", "end"); // these bars may be out of date
    this.#notices.show("away", {
      mood: "busy",
      text: `${lost} The ${this.#what} is kept, and this page tries to reach it again.`,
      count: () => `${next()}, ${left()}`,
      buttons: [{ label: "Try now", press: tryNow }],
    });
  }

  back(): void {
    this.#notices.hide("away");
    const absent = Date.now() - this.#lost;
    if (absent < ABSENCE) return;
    const text = `The connection is back: this ${this.#what} goes on after ${duration(Math.round(absent / 1000))}.`;
    this.#notices.show("back", { mood: "plain", text });
    clearTimeout(this.#greeting);
    this.#greeting = setTimeout(() => this.#notices.hide("back"), GREETING);
  }

  hop({ code, hop, seconds }: Of<"hop">): void {
    if (!code) return this.#notices.hide("hop");
    const text = `${capital(hopName(hop))} is lost. The ${this.#what} is kept, and the gateway tries to reach it again.`;
    const left = until(Date.now() + (seconds ?? 0) * 1000);
    this.#notices.show("hop", { mood: "busy", text, ...(seconds !== undefined && { count: left }) });
  }

  warning({ code, seconds }: Of<"warning">, stay: () => void): void {
    if (!code) return this.#notices.hide("warning");
    const idle = `Nothing has happened here for a while. The ${this.#what} will be ended: press any key to keep it, or “Stay”.`;
    const aged = `The ${this.#what} has nearly reached the age that is allowed, and will be ended.`;
    const text = code === "idle" ? idle : aged;
    const buttons = code === "idle" ? [{ label: "Stay", press: stay }] : [];
    this.#notices.show("warning", { mood: "bad", text, count: until(Date.now() + seconds * 1000), buttons });
  }

  held(session: Session): void {
    this.#patience ??= setTimeout(() => {
      this.#patience = undefined;
      if (session.input.held > 0) this.#showHeld(session);
    }, PATIENCE);
  }

  tooMuch({ units }: Of<"tooMuch">): void {
    this.#notices.show("tooMuch", {
      mood: "bad",
      text: `${megabytes(units)} of input were not sent: at most ${megabytes(MOST)} can wait for the program.`,
      buttons: [{ label: "Hide", press: () => this.#notices.hide("tooMuch") }],
    });
  }

  /** Says for a while what the program has put into the clipboard. */
  copied(text: string): void {
    const end = Date.now() + BRIEF;
    const count = (): string => {
      if (Date.now() > end) this.#notices.hide("clipboard");
      return "";
    };
    this.#clipboard("plain", `The program has put this into the clipboard: ${preview(text)}`, [], count);
  }

  /** Offers what the program would put into the clipboard. */
  offered(text: string, again: () => void): void {
    const press = (): void => {
      this.#notices.hide("clipboard");
      again();
    };
    this.#clipboard("plain", `The program would put this into the clipboard: ${preview(text)}`, [{ label: "Copy it", press }]);
  }

  refused(units: number): void {
    const text = `The program would put ${megabytes(units * 0.75)} into the clipboard: at most ${megabytes(MOST_COPIED)} are taken.`;
    this.#clipboard("bad", text, []);
  }

  /** Asks the person whether to end the session, and calls `finish` after a yes. */
  end(finish: () => void): void {
    this.#ask(`End this ${this.#what} in ${this.#where}, and what runs in it?`, "End it", finish);
  }

  /** Asks the person whether to sign out, which ends the session, and calls `finish` after a yes. */
  signOut(finish: () => void): void {
    this.#ask(`Sign out, and end this ${this.#what} in ${this.#where}, and what runs in it?`, "End it and sign out", finish);
  }

  /** Replaces every bar by the bar of a session that this page has lost to another client, or cannot reach. */
  elsewhere({ sentence, mood }: EndingWords, buttons: readonly Button[]): void {
    this.clear();
    this.#notices.show("elsewhere", { mood: mood === "bad" ? "bad" : "plain", text: sentence, buttons });
  }

  clear(): void {
    clearTimeout(this.#patience);
    clearTimeout(this.#greeting);
    this.#patience = undefined;
    this.#notices.clear();
  }

  dispose(): void {
    this.clear();
    this.#notices.dispose();
  }

  #clipboard(mood: "plain" | "bad", text: string, buttons: readonly Button[], count = (): string => ""): void {
    const hide = { label: "Hide", press: (): void => this.#notices.hide("clipboard") };
    this.#notices.show("clipboard", { mood, text, count, buttons: [...buttons, hide] });
  }

  #ask(text: string, label: string, finish: () => void): void {
    const hide = (): void => this.#notices.hide("end");
    const go = (): void => {
      hide();
      finish();
    };
    this.#notices.show("end", { mood: "plain", text, buttons: [{ label, press: go }, { label: "Keep it", focus: true, press: hide }] });
  }

  #showHeld(session: Session): void {
    const hide = (): void => this.#notices.hide("held");
    const drop = (): void => {
      session.input.drop();
      hide();
    };
    this.#notices.show("held", {
      mood: "plain",
      text: "Input is waiting for the program to read it. Ctrl-C drops it.",
      count: () => {
        if (session.input.held === 0) hide();
        return megabytes(session.input.held);
      },
      buttons: [{ label: "Drop it", press: drop }],
    });
  }
}

/** Returns the beginning of a text, and how long the whole is. */
function preview(text: string): string {
  return text.length > SHOWN ? `${visible(text.slice(0, SHOWN))}… (${text.length.toLocaleString("en")} characters)` : visible(text);
}

function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
