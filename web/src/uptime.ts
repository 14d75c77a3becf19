/** Shows for how long sessions have been open: minutes, moved on by one timer for the whole page. */

import { onVisible } from "./lifecycle.ts";
import { uptime } from "./words.ts";

/** Milliseconds between two looks at the clock. */
const TICK = 30_000;

/** Has `element` say the time since `opened`, in milliseconds of the epoch; undefined for a session that is not open. */
export function showUptime(element: HTMLElement, opened: number | undefined): void {
  if (opened === undefined) delete element.dataset["opened"];
  else element.dataset["opened"] = `${opened}`;
  draw(element);
}

/** Keeps all such times of the page right while somebody can see them. */
export function followUptimes(): void {
  const drawAll = (): void => document.querySelectorAll<HTMLElement>("[data-opened]").forEach(draw);
  setInterval(() => !document.hidden && drawAll(), TICK);
  onVisible(drawAll);
}

function draw(element: HTMLElement): void {
  const opened = element.dataset["opened"];
  const text = opened === undefined ? "" : uptime((Date.now() - Number(opened)) / 1000);
  if (element.textContent === text) return;
  element.textContent = text;
  element.title = text && `Open for ${text}`;
}
