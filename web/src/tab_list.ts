/** Remembers in this tab of the browser which shells the page has open, so that a reload opens them again. */

import { storageKey } from "./base.ts";
import { parseLayout, type Layout } from "./panes/layout.ts";
import type { Argv } from "./protocol/target.ts";

const KEY = storageKey("dap-gateway.tabs");

/** Names a shell of this page: the first one of a link, or a further one beside it. */
export interface PaneName {
  readonly fragment: string;
  readonly number: number;
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

export function keepTabs(tabs: readonly Layout[]): void {
  stored((items) => (tabs.length > 0 ? items.setItem(KEY, JSON.stringify(tabs)) : items.removeItem(KEY)));
}

/** Returns how the tabs that were open are divided, in their order. Their panes are names of shells. */
export function keptTabs(): Layout[] {
  try {
    const found: unknown = JSON.parse(stored((items) => items.getItem(KEY)) ?? "[]");
    return Array.isArray(found) ? found.map((each) => parseLayout(each)).filter((layout) => layout !== undefined) : [];
  } catch {
    return [];
  }
}

function stored<T>(use: (items: Storage) => T): T | undefined {
  try {
    return use(sessionStorage);
  } catch {
    return undefined;
  }
}
