/** Fetches the terminal, most of the page, when a shell opens. */

import type { MakeShell } from "./pane.ts";

/** Once for all who ask, so that they go on together, before the page is drawn again. */
let loading: Promise<typeof import("./shell.ts")> | undefined;

/** Returns what makes a shell; undefined if the gateway does not have the code any more, or does not answer. */
export async function loadShell(unauthorized: (message: string) => void): Promise<MakeShell | undefined> {
  try {
    loading ??= import("./shell.ts");
    const { ShellView } = await loading;
    return (place, shell) => new ShellView(place, { ...shell, unauthorized });
  } catch {
    loading = undefined;
    return undefined;
  }
}
