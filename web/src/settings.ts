/** Keeps a person's settings in this browser, and tells whoever asks when they change. */

import { asObject } from "./protocol/utf8.ts";
import { storageKey } from "./base.ts";

export const THEMES = ["system", "dark", "light", "contrast"] as const;
export const CURSORS = ["block", "bar", "underline"] as const;

export interface Settings {
  readonly theme: (typeof THEMES)[number];
  /** Pixels. */
  readonly fontSize: number;
  /** A font of this computer; empty: the page's choice. */
  readonly font: string;
  readonly cursor: (typeof CURSORS)[number];
  /** Lines above the screen. */
  readonly scrollback: number;
  /** Shows a paste of several lines before the program gets it. */
  readonly confirmPaste: boolean;
  readonly screenReader: boolean;
}

export const DEFAULTS: Settings = {
  theme: "system", fontSize: 14, font: "", cursor: "block", scrollback: 10_000, confirmPaste: true, screenReader: false,
};
export const FONT_SIZES = { min: 9, max: 32 } as const;
export const SCROLLBACKS = { min: 100, max: 100_000 } as const;

const KEY = storageKey("dap-gateway.settings");
const listeners = new Set<(settings: Settings) => void>();
let current = read();

export function settings(): Settings {
  return current;
}

/** Changes some settings, keeps them, and tells the listeners. */
export function change(some: Partial<Settings>): void {
  current = valid({ ...current, ...some });
  try {
    localStorage.setItem(KEY, JSON.stringify(current));
  } catch {
    // good for this tab, then
  }
  for (const listener of listeners) listener(current);
}

/** Calls `changed` after each change; returns a function that stops the calls. */
export function onSettings(changed: (settings: Settings) => void): () => void {
  listeners.add(changed);
  return () => void listeners.delete(changed);
}

// another tab's change is this tab's, too
if (typeof window !== "undefined") {
  window.addEventListener("storage", ({ key }) => {
    if (key !== KEY) return;
    current = read();
    for (const listener of listeners) listener(current);
  });
}

/** Returns the settings of which each value is possible; the default in the place of any other. */
export function valid(given: Readonly<Record<string, unknown>>): Settings {
  const within = (name: "fontSize" | "scrollback", { min, max }: { min: number; max: number }): number => {
    const value = given[name];
    return typeof value === "number" && Number.isFinite(value) ? Math.round(Math.max(min, Math.min(max, value))) : DEFAULTS[name];
  };
  const truth = (name: "confirmPaste" | "screenReader"): boolean => (typeof given[name] === "boolean" ? given[name] : DEFAULTS[name]);
  const font = given["font"];
  return {
    theme: THEMES.find((theme) => theme === given["theme"]) ?? DEFAULTS.theme,
    cursor: CURSORS.find((cursor) => cursor === given["cursor"]) ?? DEFAULTS.cursor,
    fontSize: within("fontSize", FONT_SIZES),
    scrollback: within("scrollback", SCROLLBACKS),
    font: typeof font === "string" && /^[\w \-,"']{0,100}$/.test(font) ? font : "",
    confirmPaste: truth("confirmPaste"),
    screenReader: truth("screenReader"),
  };
}

function read(): Settings {
  try {
    return valid(asObject(JSON.parse(localStorage.getItem(KEY) ?? "{}")) ?? {});
  } catch {
    return DEFAULTS;
  }
}
