/** Shows one file on its way: its progress, what came of it, and what can be done about it. */

import type { Answer } from "../access.ts";
import { make } from "../elements.ts";
import type { Disposable } from "../lifecycle.ts";
import type { Target } from "../protocol/target.ts";
import * as transfers from "../transfers.ts";
import { upload } from "../upload.ts";
import { megabytes, visible } from "../words.ts";
import type { Dropped } from "./dropping.ts";

/** Milliseconds between two looks at how far a download is. */
const LOOK = 400;
/** Milliseconds in which a browser begins a download that it does not hold back. */
const BEGIN = 15_000;

interface Button {
  readonly label: string;
  press(): void;
}

export class FileRow implements Disposable {
  readonly element: HTMLElement;
  readonly #target: Target;
  readonly #path: string;
  readonly #dropped: Dropped | undefined;
  readonly #unauthorized: (message: string) => void;
  readonly #bar = make("progress", { max: "1", "aria-label": "Progress" });
  readonly #words = make("p", { class: "words", role: "status" });
  readonly #hash = make("p", { class: "hash" });
  readonly #buttons = make("div", { class: "right" });
  readonly #stop = new AbortController();
  #transfer = "";

  /** `dropped`: what is uploaded to `path`; without it `path` is downloaded. */
  constructor(target: Target, path: string, dropped: Dropped | undefined, unauthorized: (message: string) => void) {
    this.#target = target;
    this.#path = path;
    this.#dropped = dropped;
    this.#unauthorized = unauthorized;
    const title = make("p", { class: "title" }, dropped ? `↑ ${visible(dropped.name)}${dropped.directory ? "/" : ""}` : `↓ ${visible(path)}`);
    this.element = make("li", { class: "file" }, make("div", { class: "headline" }, title, this.#buttons), this.#bar, this.#words, this.#hash);
    this.#say("Waiting", "busy", [this.#cancel()]);
    this.#bar.hidden = true;
  }

  /** Moves the file; resolves once it is there, or is not going to be. */
  async run(): Promise<void> {
    if (this.#stop.signal.aborted) return;
    this.#say("Looking at the container", "busy", [this.#cancel()]);
    let file: File | undefined;
    try {
      file = await this.#dropped?.file();
    } catch (error) {
      return this.#failed(error instanceof Error ? error.message : "the browser cannot read it");
    }
    const begun = await transfers.begin(this.#target, this.#path, file, this.#dropped?.directory);
    if (this.#stop.signal.aborted) return;
    if (begun.type !== "ok") return this.#refused(begun);
    this.#transfer = begun.value.transfer;
    if (!file) return this.#download(begun.value);
    if (begun.value.exists) return this.#ask(begun.value, file);
    await this.#upload(begun.value, file);
  }

  /** Ends what is under way. */
  dispose(): void {
    if (this.#stop.signal.aborted) return;
    this.#stop.abort();
    if (this.#transfer) void transfers.cancel(this.#transfer);
  }

  #ask(begun: transfers.Begun, file: File): void {
    const replace = (): void => void this.#upload(begun, file);
    this.#say(`${visible(begun.path)} is there already.`, "bad", [{ label: "Replace it", press: replace }, this.#cancel("Leave it")]);
  }

  async #upload(begun: transfers.Begun, file: File): Promise<void> {
    const tell = (sent: number): void => {
      this.#far(sent, file.size);
      const whole = sent >= file.size;
      this.#say(whole ? "Sent: the container writes and checks it" : `${megabytes(sent)} of ${megabytes(file.size)}`, "busy", [this.#cancel()]);
    };
    tell(0);
    const { signal } = this.#stop;
    const answer = await upload({
      send: (offset) => transfers.send(begun.transfer, file, offset, tell, signal),
      resume: () => transfers.resume(begun.transfer),
      pause: (milliseconds) => new Promise((wake) => setTimeout(wake, milliseconds)),
      now: () => Date.now(),
    }, (why) => signal.aborted || this.#say(`Waiting, to go on where it was: ${visible(why)}`, "busy", [this.#cancel()]), signal);
    if (this.#stop.signal.aborted) return;
    if (answer.type === "ok") this.#done(answer.value, "Uploaded to");
    else this.#refused(answer);
  }

  async #download(begun: transfers.Begun): Promise<void> {
    transfers.save(begun);
    const late = Date.now() + BEGIN;
    for (;;) {
      await new Promise((wake) => setTimeout(wake, LOOK));
      if (this.#stop.signal.aborted) return;
      const answer = await transfers.progress(begun.transfer);
      if (this.#stop.signal.aborted) return;
      if (answer.type === "refused") return this.#refused(answer);
      if (answer.type !== "ok") continue; // it is asked again
      const { state, done, total, message } = answer.value;
      if (state === "done") return this.#done(answer.value, "Downloaded");
      if (state === "failed") return this.#failed(message);
      if (state === "waiting" && Date.now() > late) return this.#failed("the browser has not begun it: does it block downloads of this page?");
      this.#far(done, total);
      this.#say(total ? `${megabytes(done)} of ${megabytes(total)}` : megabytes(done), "busy", [this.#cancel()]);
    }
  }

  #done({ path, done, sha256, verified, grew, archive, message }: transfers.Progress, what: string): void {
    const checked = archive ? `an archive${message && `. But ${visible(message)}`}` : verified ? "the container has the same SHA-256" : "the image cannot tell its SHA-256, so it was not compared";
    this.#bar.hidden = true;
    this.#transfer = "";
    this.#say(`${what} ${visible(path)}: ${megabytes(done)}, ${checked}.${grew ? " It grew while it was copied: what came later is not in it." : ""}`, message ? "bad" : verified || archive ? "good" : "ended", [this.#hide()]);
    this.#hash.textContent = sha256;
  }

  #refused(answer: Exclude<Answer<unknown>, { type: "ok" }>): void {
    if (answer.type === "refused" && answer.status === 401) return this.#unauthorized(answer.message);
    this.#failed(answer.type === "refused" ? answer.message : "the connection to the gateway was lost");
  }

  #failed(why: string): void {
    this.#bar.hidden = true;
    this.#transfer = "";
    const again = (): void => void this.run();
    this.#say(`Not ${this.#dropped ? "uploaded" : "downloaded"}: ${visible(why)}`, "bad", [{ label: "Try again", press: again }, this.#hide()]);
  }

  #cancel(label = "Cancel"): Button {
    return {
      label,
      press: () => {
        this.dispose();
        this.#bar.hidden = true;
        const cancelled = this.#dropped ? "Cancelled: nothing of it stays in the container." : "Cancelled.";
        this.#say(label === "Cancel" ? cancelled : "Left as it is.", "ended", [this.#hide()]);
      },
    };
  }

  #hide(): Button {
    return { label: "Hide", press: () => this.element.remove() };
  }

  #far(done: number, total: number | undefined): void {
    this.#bar.hidden = false;
    if (total) this.#bar.value = Math.min(1, done / total);
    else this.#bar.removeAttribute("value");
  }

  #say(text: string, mood: string, buttons: readonly Button[]): void {
    this.element.dataset["mood"] = mood;
    if (this.#words.textContent !== text) this.#words.textContent = text;
    const labels = buttons.map(({ label }) => label).join();
    if (this.#buttons.dataset["labels"] === labels) return; // a button that is drawn anew loses the keyboard, and a click
    this.#buttons.dataset["labels"] = labels;
    this.#buttons.replaceChildren(...buttons.map(({ label, press }) => {
      const button = make("button", { type: "button", class: "quiet" }, label);
      button.addEventListener("click", press);
      return button;
    }));
  }
}
