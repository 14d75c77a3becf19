/** Opens links that a program has written, after the person has seen where they lead. */

import { WebLinksAddon } from "@xterm/addon-web-links";
import type { ILinkHandler, Terminal } from "@xterm/xterm";
import { confirmDialog } from "./dialogs.ts";
import { make } from "./elements.ts";
import { visible } from "./words.ts";

/** Handles links whose text says something else than where they lead (OSC 8). */
export const LINKS: ILinkHandler = { activate: (_, uri) => openLink(uri) };

/** Makes the addresses that stand in the output links. */
export function findLinks(terminal: Terminal): void {
  terminal.loadAddon(new WebLinksAddon((_, uri) => openLink(uri)));
}

/** Asks, and opens a page of the web in a tab that knows nothing of this one; any other address is left alone. */
function openLink(uri: string): void {
  const url = URL.canParse(uri) ? new URL(uri) : undefined;
  if (!url || !["http:", "https:"].includes(url.protocol)) return;
  const address = make("pre", { class: "command", tabindex: "0", "aria-label": "Address" }, visible(url.href));
  confirmDialog("Open this link?", [address], "Open", () => void window.open(url.href, "_blank", "noopener,noreferrer"));
}
