/** Decides what a key does in the list of pods. */

export type FindAction =
  | { readonly type: "move"; readonly by: number }
  | { readonly type: "open" | "inside" | "leave" | "search" }
  /** The key is typed in the field, which gets the keyboard first. */
  | { readonly type: "type" };

/** Returns what the key does; undefined if it is another field's, a dialog's over the list, the browser's, or nobody's. `page`: rows of a screen. */
export function findAction(event: KeyboardEvent, field: HTMLInputElement, page: number): FindAction | undefined {
  const { key, target } = event;
  if (event.defaultPrevented || event.altKey || event.ctrlKey || event.metaKey || event.isComposing) return undefined;
  const dialog = document.querySelector("dialog[open]");
  if (dialog && !dialog.contains(field)) return undefined;
  const typing = target === field;
  if (!typing && (target instanceof HTMLSelectElement || target instanceof HTMLInputElement)) return undefined;
  const by = { ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page }[key];
  if (by !== undefined) return { type: "move", by };
  if (key === "Escape") return { type: "leave" };
  if (key === "Enter") return typing || target === document.body ? { type: "open" } : undefined;
  if (key === "ArrowRight") return field.selectionStart === field.value.length ? { type: "inside" } : undefined;
  if (typing) return undefined;
  if (key === "/") return { type: "search" };
  return key.length === 1 && key !== " " ? { type: "type" } : undefined;
}
