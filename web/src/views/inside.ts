/** Shows what is inside of a pod: its containers as what they are, each with a way in. */

import * as access from "../access.ts";
import { make } from "../elements.ts";
import { icon } from "../icons.ts";
import { containersOf, type Container } from "../lists/containers.ts";
import type { Row } from "../lists/row.ts";
import { visible } from "../words.ts";

export interface InsideHooks {
  open(container: string): void;
  close(): void;
  unauthorized(message: string): void;
}

/** Returns the panel, which reads the pod and fills itself; its default container gets the keyboard if `focus`. */
export function insidePanel(cluster: string, row: Row, focus: boolean, hooks: InsideHooks): HTMLElement {
  const close = make("button", { type: "button", class: "quiet iconic", "aria-label": "Close" }, icon("close"));
  close.addEventListener("click", hooks.close);
  const content = make("div", { class: "content", role: "status" }, "Reading the pod…");
  const panel = make(
    "aside",
    { class: "inside", "aria-label": `Pod ${visible(row.name)}` },
    make("header", { class: "title" }, make("h2", {}, visible(row.name)), close),
    facts(row),
    content,
  );
  panel.addEventListener("keydown", (event) => keyed(event, panel, hooks));
  if (focus) close.focus();
  void fill(cluster, row, content, focus, hooks);
  return panel;
}

function facts(row: Row): HTMLElement {
  const known: readonly (readonly [string, string])[] = [
    ["Namespace", row.namespace],
    ["Status", row.status],
    ["Node", row.node],
    ["Made by", row.owner],
  ];
  const shown = known.filter(([, value]) => value);
  return make("dl", {}, ...shown.flatMap(([name, value]) => [make("dt", {}, name), make("dd", {}, visible(value))]));
}

async function fill(cluster: string, row: Row, content: HTMLElement, focus: boolean, hooks: InsideHooks): Promise<void> {
  const answer = await access.pod(cluster, row.namespace, row.name);
  if (!content.isConnected) return;
  if (answer.type === "refused" && answer.status === 401) return hooks.unauthorized(answer.message);
  content.removeAttribute("role");
  if (answer.type !== "ok") {
    const why = answer.type === "refused" ? visible(answer.message) : "The gateway does not answer.";
    const anyway = make("button", { type: "button" }, "Open its default container");
    anyway.addEventListener("click", () => hooks.open(""));
    return content.replaceChildren(make("p", { class: "problem", role: "alert" }, why), anyway);
  }
  const containers = containersOf(answer.value);
  const list = make("ul", { class: "containers", "aria-label": "Containers" }, ...containers.map((each) => item(each, hooks)));
  content.replaceChildren(make("h3", {}, containers.length === 1 ? "Container" : "Containers"), list);
  if (focus) (list.querySelector<HTMLElement>("[data-default]") ?? list.querySelector("button"))?.focus();
}

function item(container: Container, { open }: InsideHooks): HTMLElement {
  const { name, role, isDefault, state, mood, image } = container;
  const tags = [...(isDefault ? ["default"] : []), ...(role === "main" ? [] : [role])];
  const button = make(
    "button",
    { type: "button", ...(isDefault && { "data-default": "" }) },
    make("span", { class: "called" }, visible(name), ...tags.map((tag) => make("span", { class: "tag" }, tag))),
    make("span", { class: "dot", "data-mood": mood }, visible(state)),
    make("span", { class: "image" }, visible(image)),
  );
  button.addEventListener("click", () => open(name));
  return make("li", {}, button);
}

function keyed(event: KeyboardEvent, panel: HTMLElement, hooks: InsideHooks): void {
  const buttons = [...panel.querySelectorAll<HTMLElement>(".containers button")];
  const at = buttons.indexOf(document.activeElement as HTMLElement);
  if (event.key === "ArrowLeft" || event.key === "Escape") hooks.close();
  else if (event.key === "ArrowDown") buttons[Math.min(at + 1, buttons.length - 1)]?.focus();
  else if (event.key === "ArrowUp") buttons[Math.max(at - 1, 0)]?.focus();
  else return;
  event.preventDefault();
  event.stopPropagation();
}
