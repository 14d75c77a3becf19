/** What a tab keeps of its sessions in sessionStorage, so that a reload finds them again. A duplicated tab gets a
 * copy of it; of two that attach, the later one has the session and the earlier one is told.
 */

import { fromUnits, toUnits } from "./bytes.ts";
import type { Kept } from "./events.ts";
import type { InputState } from "./input.ts";
import type { Snapshot } from "./snapshot.ts";

/** The number changes with the form of what is kept: what an older page left is not read. */
const KEY = "dap-gateway.session/1 ";

/** Milliseconds after its grace. */
const STALE = 24 * 3600 * 1000;

export interface Record {
  readonly kept: Kept;
  /** Undefined where the tab had no time to copy it, or it was too large. */
  readonly screen?: Snapshot | undefined;
  /** Another client has taken the session over: it is not taken back unasked. */
  readonly taken: boolean;
}

type Stored = Omit<Record, "kept"> & {
  readonly kept: Omit<Kept, "input"> & { readonly input?: (Omit<InputState, "sent"> & { readonly sent: string }) | undefined };
};

/** Of the session behind this link. Whether it is over the gateway knows: this computer's clock, and what a tab that
 * crashed had time to write down, may be wrong. And whoever comes back too late is told so.
 */
export function find(link: string): Record | undefined {
  const found = storage((items) => parse(items.getItem(KEY + link)));
  if (!found) forget(link);
  return found;
}

/** Keeps as much of it as the browser takes. */
export function keep(link: string, record: Record): void {
  storage((items) => {
    prune(items);
    try {
      items.setItem(KEY + link, format(record));
    } catch {
      items.setItem(KEY + link, format({ ...record, screen: undefined })); // the quota
    }
  });
}

export function forget(link: string): void {
  storage((items) => items.removeItem(KEY + link));
}

/** Forgets every session, of whatever link. */
export function forgetAll(): void {
  storage((items) => names(items).forEach((name) => items.removeItem(name)));
}

/** Sessions of other links that nobody came back for in a day. */
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

function storage<T>(use: (items: Storage) => T): T | undefined {
  try {
    return use(sessionStorage);
  } catch {
    return undefined;
  }
}
