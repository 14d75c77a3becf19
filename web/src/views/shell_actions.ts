/** Names what can be done with the shell that is shown, for the list of actions and for the keys. */

import { isFullScreen, locksKeys, TAKEN, toggleFullScreen } from "../full_screen.ts";
import { SEARCH_KEYS } from "../keys.ts";
import { DIRECTIONS, PANE_KEYS, type PaneAction } from "../panes/keys.ts";
import type { Way } from "../panes/layout.ts";
import type { Target } from "../protocol/target.ts";
import { saveScrollback, type Kind } from "../scrollback_file.ts";
import type { Action } from "./actions_dialog.ts";
import type { ShellView } from "./shell.ts";
import type { Shells } from "./shells.ts";

/** `choose` lets a person find a pod, and calls its argument with the pod. */
export function shellActions(shells: Shells, choose: (open: (target: Target) => void) => void): Action[] {
  const { tab, shown } = shells;
  if (!tab || !shown) return [];
  const beside = (way: Way) => (): void => choose((target) => shells.split(way, target, []));
  const act = (action: PaneAction) => (): void => void actOnPanes(shells, action);
  const save = (kind: Kind): void => void (tab.focused && saveScrollback(shown.screen, tab.focused.opened.target, kind));
  const full = isFullScreen() ? "Leave full screen" : `Full screen${locksKeys() ? ", with all keys for the shell" : ""}`;
  const several: Action[] = [
    { label: "Next shell of this view", keys: PANE_KEYS.focus, run: () => tab.focusAfter() },
    { label: "Make this shell larger", keys: PANE_KEYS.larger, run: act({ type: "resize", sign: 1 }) },
    { label: "Make this shell smaller", keys: PANE_KEYS.smaller, run: act({ type: "resize", sign: -1 }) },
    ...(["Left", "Right", "Up", "Down"] as const).map((arrow) => {
      const direction = DIRECTIONS[`Arrow${arrow}`];
      return { label: `Move a border of this shell ${direction}`, keys: PANE_KEYS.border + arrow, run: act({ type: "border", direction }) };
    }),
  ];
  return [
    { label: "Split: another shell here, to the right", keys: PANE_KEYS.right, run: act({ type: "split", way: "right" }) },
    { label: "Split: another shell here, below", keys: PANE_KEYS.below, run: act({ type: "split", way: "below" }) },
    { label: "Split: a shell in another pod, to the right", run: beside("right") },
    { label: "Split: a shell in another pod, below", run: beside("below") },
    ...(tab.panes.length > 1 ? several : []),
    { label: "Close this shell", run: () => tab.close() },
    { label: "Search in the terminal", keys: SEARCH_KEYS, run: () => shown.search.open() },
    { label: "Save what the terminal has, as text", run: () => save("txt") },
    { label: "Save what the terminal has, as HTML", run: () => save("html") },
    ...TAKEN.map(([key, text]) => ({ label: `Send ${key}, which the browser takes`, run: () => sendKey(shown, text) })),
    { label: full, run: () => void toggleFullScreen().catch(() => undefined).finally(() => shown.focus()) },
  ];
}

function sendKey(shell: ShellView, text: string): void {
  shell.type(text);
  shell.focus();
}

/** Does what a key asks for; returns false if no shell is shown, or if its view has nothing to do it with. */
export function actOnPanes(shells: Shells, action: PaneAction): boolean {
  const { tab } = shells;
  if (!tab) return false;
  if (action.type === "split") {
    // a shell also beside a command, which a person agreed to once
    if (tab.focused) shells.split(action.way, tab.focused.opened.target, []);
    return true;
  }
  if (tab.panes.length === 1) return false;
  if (action.type === "focus") tab.focusNext(action.direction);
  else if (action.type === "border") tab.moveBorder(action.direction);
  else tab.resize(action.sign);
  return true;
}
