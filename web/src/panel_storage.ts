/** Remembers in this tab of the browser what stands beside each shell, so that a reload opens it again. */

import { storageKey } from "./base.ts";
import { asObject, asText } from "./protocol/utf8.ts";
import { stored } from "./storage.ts";

const KEY = `${storageKey("dap-gateway.panel")} `;

export interface KeptPanel {
  readonly name: string;
  /** The container that the person has chosen in it; empty for the shell's own. */
  readonly container: string;
}

/** `shell` names the session of the shell in this tab's storage. */
export function keepPanel(shell: string, panel: KeptPanel | undefined): void {
  stored((items) => (panel ? items.setItem(KEY + shell, JSON.stringify(panel)) : items.removeItem(KEY + shell)));
}

export function keptPanel(shell: string): KeptPanel | undefined {
  try {
    const found = asObject(JSON.parse(stored((items) => items.getItem(KEY + shell)) ?? "null"));
    return found && { name: asText(found["name"]), container: asText(found["container"]) };
  } catch {
    return undefined;
  }
}
