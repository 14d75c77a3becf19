/** Moves files beside a shell: down by their path, up by choosing them or by dragging them onto the shell. */

import { make } from "../elements.ts";
import { icon } from "../icons.ts";
import type { Target } from "../protocol/target.ts";
import { chosenDirectory, droppedFile, type Dropped } from "./dropping.ts";
import { FileRow } from "./file_row.ts";
import type { Panel } from "./log_panel.ts";

export class FilePanel implements Panel {
  readonly element: HTMLElement;
  readonly #target: Target;
  readonly #unauthorized: (message: string) => void;
  readonly #path = make("input", { type: "text", "aria-label": "Path of the file or directory to download", placeholder: "/var/log/app.log", autocomplete: "off", spellcheck: "false" });
  readonly #directory = make("input", { type: "text", "aria-label": "Directory in the container", value: "/tmp", autocomplete: "off", spellcheck: "false" });
  readonly #list = make("ul", { class: "files" });
  readonly #rows = new Set<FileRow>();
  /** The uploads one after another: each takes a session. */
  #uploads: Promise<void> = Promise.resolve();

  constructor(target: Target, close: () => void, unauthorized: (message: string) => void) {
    this.#target = target;
    this.#unauthorized = unauthorized;
    const shut = make("button", { type: "button", class: "quiet iconic", "aria-label": "Close the files", title: "Close the files" }, icon("close"));
    shut.addEventListener("click", close);
    const tools = make("div", { class: "tools" }, make("h2", {}, "Files"), shut);
    const note = make("p", { class: "note" }, "Or drag files and directories onto the shell. A directory is downloaded as an archive.");
    this.element = make("section", { class: "panel filepanel", "aria-label": `Files of ${target.pod}` }, tools, this.#down(), this.#up(), note, this.#list);
    this.element.addEventListener("keydown", (event) => event.key === "Escape" && close());
  }

  /** Returns true if this moves files of that pod and container; a new shell of a workload may be in another. */
  isOf({ pod, container }: Target): boolean {
    const known = this.#target.container;
    return pod === this.#target.pod && (!container || !known || container === known);
  }

  focus(): void {
    this.#path.focus();
  }

  back(): void {}

  /** Closing the panel leaves what is under way alone. */
  dispose(): void {
    this.element.remove();
  }

  /** Ends what is under way. */
  end(): void {
    for (const row of this.#rows) row.dispose();
    this.dispose();
  }

  /** Uploads files and directories to the directory that the panel names, one after another. */
  take(dropped: Iterable<Dropped>): void {
    for (const each of dropped) {
      const row = this.#add(new FileRow(this.#target, this.#directory.value.trim() || ".", each, this.#unauthorized));
      this.#uploads = this.#uploads.then(() => row.run());
    }
  }

  #add(row: FileRow): FileRow {
    this.#rows.add(row);
    this.#list.prepend(row.element);
    return row;
  }

  #down(): HTMLElement {
    const form = make("form", {}, make("label", {}, "Download", this.#path), make("button", {}, "Download"));
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      const path = this.#path.value.trim();
      if (path) void this.#add(new FileRow(this.#target, path, undefined, this.#unauthorized)).run();
    });
    return form;
  }

  #up(): HTMLElement {
    const files = chooser("Files", {}, (chosen) => this.take(chosen.map(droppedFile)));
    const directory = chooser("Directory", { webkitdirectory: "" }, (chosen) => this.take(chosenDirectory(chosen)));
    const form = make("form", {}, make("label", {}, "Upload into", this.#directory), ...files, ...directory);
    form.addEventListener("submit", (event) => event.preventDefault());
    return form;
  }
}

/** Returns a button, and the field of the browser behind it, with which a person chooses what is uploaded. */
function chooser(what: string, attributes: Readonly<Record<string, string>>, take: (chosen: readonly File[]) => void): HTMLElement[] {
  const field = make("input", { type: "file", multiple: "", class: "unseen", tabindex: "-1", "aria-hidden": "true", ...attributes });
  const button = make("button", { type: "button", title: `Choose ${what.toLowerCase()} to upload` }, `${what}…`);
  button.addEventListener("click", () => field.click());
  field.addEventListener("change", () => {
    take([...(field.files ?? [])]);
    field.value = "";
  });
  return [button, field];
}
