/** Remembers in this tab of the browser which shells the page has open, so that a reload opens them again. */

import { storageKey } from "./base.ts";
import type { Argv } from "./protocol/target.ts";

const KEY = storageKey("dap-gateway.tabs");

/** Returns the fragment of a shell, or of a command. */
export function fragmentWith(fragment: string, argv: Argv): string {
  return argv.length === 0 ? fragment : `${fragment}?${argv.map((word) => `command=${encodeURIComponent(word)}`).join("&")}`;
}

export function keepTabs(fragments: readonly string[]): void {
  stored((items) => (fragments.length > 0 ? items.setItem(KEY, JSON.stringify(fragments)) : items.removeItem(KEY)));
}

/** Returns the fragments of the shells that were open, in their order. */
export function keptTabs(): string[] {
  try {
    const found: unknown = JSON.parse(stored((items) => items.getItem(KEY)) ?? "[]");
    return Array.isArray(found) ? found.filter((each) => typeof each === "string") : [];
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
