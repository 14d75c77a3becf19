/** Fetches the terminal, most of the page, when a shell opens. */

import type { MakeShell } from "./pane.ts";

/** Returns what makes a shell; undefined if the gateway does not have the code any more, or does not answer. */
export async function loadShell(unauthorized: (message: string) => void): Promise<MakeShell | undefined> {
  try {
    const { ShellView } = await import("./shell.ts");
    return (place, shell) => new ShellView(place, { ...shell, unauthorized });
  } catch {
    return undefined;
  }
}
