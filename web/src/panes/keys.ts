/** Names the keys that divide a view and move in it. To a shell Ctrl-Shift-Enter is Enter, and the others are nothing. */

import type { Direction, Way } from "./layout.ts";

export type PaneAction =
  | { readonly type: "split"; readonly way: Way }
  | { readonly type: "focus"; readonly direction: Direction }
  | { readonly type: "border"; readonly direction: Direction }
  | { readonly type: "resize"; readonly sign: 1 | -1 };

type Key = Pick<KeyboardEvent, "key" | "ctrlKey" | "shiftKey" | "altKey" | "metaKey">;

export const DIRECTIONS = { ArrowLeft: "left", ArrowRight: "right", ArrowUp: "up", ArrowDown: "down" } as const;

export const PANE_KEYS = {
  right: "Ctrl-Shift-Enter", below: "Ctrl-Alt-Shift-Enter", focus: "Alt-Shift-arrows", border: "Ctrl-Alt-Shift-", larger: "Ctrl-Shift-Up", smaller: "Ctrl-Shift-Down",
} as const;

export function paneAction({ key, ctrlKey, shiftKey, altKey, metaKey }: Key): PaneAction | undefined {
  if (!shiftKey || metaKey) return undefined;
  if (key === "Enter") return ctrlKey ? { type: "split", way: altKey ? "below" : "right" } : undefined;
  const direction = (DIRECTIONS as Readonly<Record<string, Direction>>)[key];
  if (direction === undefined || !(ctrlKey || altKey)) return undefined;
  if (ctrlKey && altKey) return { type: "border", direction };
  if (altKey) return { type: "focus", direction };
  if (direction === "up") return { type: "resize", sign: 1 };
  return direction === "down" ? { type: "resize", sign: -1 } : undefined;
}
