/** Keeps a tab's sessions in sessionStorage, so that a reload finds the sessions again. A duplicated tab gets a copy of
 * the storage; of two tabs that attach, the later tab gets the session and the earlier tab receives `taken_over`.
 */

import { storageKey } from "./base.ts";
import { fromUnits, toUnits } from "./bytes.ts";
import type { Kept } from "./events.ts";
import type { InputState } from "./input.ts";
import type { Snapshot } from "./snapshot.ts";
import { stored } from "./storage.ts";

/** Prefix of a record's key. The number changes with the format, so that records of an older page are left unread. */
const KEY = `${storageKey("dap-gateway.session/1")} `;

/** Milliseconds for which a session's record is kept after the session's grace. */
const STALE = 24 * 3600 * 1000;

export interface Record {
  readonly kept: Kept;
  /** Copy of the screen; undefined if the tab had no time for a copy, or the copy was too large. */
  readonly screen?: Snapshot | undefined;
  /** True if another client has taken the session over: the tab takes the session back only when asked. */
  readonly taken: boolean;
}

type Stored = Omit<Record, "kept"> & {
  readonly kept: Omit<Kept, "input"> & { readonly input?: (Omit<InputState, "sent"> & { readonly sent: string }) | undefined };
};

/** Returns the record of the session behind `link`; undefined if the tab has none. Removes an unreadable record.
 * The gateway decides whether the session is over, and tells whoever attaches too late: this computer's clock, and what
 * a crashed tab had time to store, may be wrong.
 */
export function find(link: string): Record | undefined {
  const found = stored((items) => parse(items.getItem(KEY + link)));
  if (!found) forget(link);
  return found;
}

/** Stores the record under `link`, without the screen if the browser's quota is full; drops stale records first. */
export function keep(link: string, record: Record): void {
  stored((items) => {
    prune(items);
    try {
      items.setItem(KEY + link, format(record));
    } catch {
      items.setItem(KEY + link, format({ ...record, screen: undefined })); // the quota is full
    }
  });
}

export function forget(link: string): void {
  stored((items) => items.removeItem(KEY + link));
}

/** Removes the records of all sessions, of whatever link. */
export function forgetAll(): void {
  stored((items) => names(items).forEach((name) => items.removeItem(name)));
}

/** Removes unreadable records, and records of sessions whose grace ended a day ago or earlier. */
function prune(items: Storage): void {
  for (const name of names(items)) {
    const record = parse(items.getItem(name));
    if (!record || record.kept.until + STALE <= Date.now()) items.removeItem(name);
  }
}

function names(items: Storage): string[] {
  const every = Array.from({ length: items.length }, (_, index) => items.key(index) ?? "");
  return every.filter((name) => name.startsWith(KEY));
}

function format({ kept, screen, taken }: Record): string {
  const input = kept.input && { ...kept.input, sent: toUnits(kept.input.sent) };
  const stored: Stored = { kept: { ...kept, input }, screen, taken };
  return JSON.stringify(stored);
}

function parse(text: string | null): Record | undefined {
  if (text === null) return undefined;
  try {
    const { kept, screen, taken } = JSON.parse(text) as Stored;
    return { kept: { ...kept, input: kept.input && { ...kept.input, sent: fromUnits(kept.input.sent) } }, screen, taken };
  } catch {
    return undefined;
  }
}
