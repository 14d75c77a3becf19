/** Remembers in this tab of the browser which shells the page has open, so that a reload opens them again. */

import { storageKey } from "./base.ts";
import { parseLayout, type Layout } from "./panes/layout.ts";
import type { Argv } from "./protocol/target.ts";
import { stored } from "./storage.ts";

const KEY = storageKey("dap-gateway.tabs");

/** Names a shell of this page: the first one of a link, or a further one beside it. */
export interface PaneName {
  readonly fragment: string;
  readonly number: number;
}

/** How a tab is divided among shells, by their names, and which of them has the keyboard. */
export interface KeptTab {
  readonly layout: Layout;
  readonly focused: string;
}

/** Returns the fragment of a shell, or of a command. */
export function fragmentWith(fragment: string, argv: Argv): string {
  return argv.length === 0 ? fragment : `${fragment}?${argv.map((word) => `command=${encodeURIComponent(word)}`).join("&")}`;
}

export function formatName({ fragment, number }: PaneName): string {
  return number > 1 ? `${number}${fragment}` : fragment;
}

export function parseName(name: string): PaneName {
  const at = Math.max(0, name.indexOf("#"));
  return { fragment: name.slice(at), number: Math.max(1, Math.trunc(Number(name.slice(0, at))) || 1) };
}

/** Returns the key under which the session of a shell is stored, where `path` opens the session. */
export function recordKey(path: string, number: number): string {
  return number > 1 ? `${path} ${number}` : path;
}

export function keepTabs(tabs: readonly KeptTab[]): void {
  stored((items) => (tabs.length > 0 ? items.setItem(KEY, JSON.stringify(tabs)) : items.removeItem(KEY)));
}

/** Returns the tabs that were open, in their order. */
export function keptTabs(): KeptTab[] {
  try {
    const found: unknown = JSON.parse(stored((items) => items.getItem(KEY)) ?? "[]");
    return Array.isArray(found) ? found.map(parseTab).filter((tab) => tab !== undefined) : [];
  } catch {
    return [];
  }
}

/** An older page kept a tab as the fragment of its shell. */
function parseTab(value: unknown): KeptTab | undefined {
  if (typeof value === "string") return { layout: value, focused: value };
  if (typeof value !== "object" || value === null) return undefined;
  const { layout, focused } = value as Record<string, unknown>;
  const parsed = parseLayout(layout);
  return parsed !== undefined && typeof focused === "string" ? { layout: parsed, focused } : undefined;
}
