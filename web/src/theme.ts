/** Chooses the terminal's colours; the page's own colours are in style.css. */

import type { ITheme } from "@xterm/xterm";
import { onSettings, settings } from "./settings.ts";

const DARK: ITheme = {
  background: "#0f1216",
  foreground: "#d6dce4",
  cursor: "#e6ebf2",
  cursorAccent: "#0f1216",
  selectionBackground: "#31506f",
  black: "#20262e",
  red: "#e5736f",
  green: "#86bd75",
  yellow: "#d9b45f",
  blue: "#6fa4e0",
  magenta: "#bf8fd6",
  cyan: "#5fb8b8",
  white: "#c3cad3",
  brightBlack: "#828d9a",
  brightRed: "#f39490",
  brightGreen: "#a5d695",
  brightYellow: "#edcd84",
  brightBlue: "#94bff0",
  brightMagenta: "#d6b0e8",
  brightCyan: "#86d3d2",
  brightWhite: "#f2f5f9",
};

const LIGHT: ITheme = {
  background: "#fbfbf9",
  foreground: "#23282f",
  cursor: "#23282f",
  cursorAccent: "#fbfbf9",
  selectionBackground: "#bcd6f2",
  black: "#23282f",
  red: "#b3302c",
  green: "#2f7a2b",
  yellow: "#866008",
  blue: "#1f62ad",
  magenta: "#853fa3",
  cyan: "#0f7277",
  white: "#6b737d",
  brightBlack: "#59616b",
  brightRed: "#c9413c",
  brightGreen: "#3c8a36",
  brightYellow: "#96700f",
  brightBlue: "#2c74c6",
  brightMagenta: "#9a52b8",
  brightCyan: "#1a8288",
  brightWhite: "#3d444c",
};

const CONTRAST: ITheme = {
  ...DARK,
  background: "#000000",
  foreground: "#ffffff",
  cursor: "#ffff00",
  cursorAccent: "#000000",
  selectionBackground: "#0050b0",
  brightBlack: "#b8b8b8",
  red: "#ff8a85",
  green: "#8ff57a",
  yellow: "#ffd75e",
  blue: "#8cc2ff",
};

const light = matchMedia("(prefers-color-scheme: light)");

export function theme(): ITheme {
  if (settings().theme === "contrast") return CONTRAST;
  return isLight() ? LIGHT : DARK;
}

export function isLight(): boolean {
  const chosen = settings().theme;
  return chosen === "light" || (chosen === "system" && light.matches);
}

/** Calls `changed` whenever the person switches between dark and light; returns a function that stops the calls. */
export function onThemeChange(changed: () => void): () => void {
  const stop = onSettings(changed);
  light.addEventListener("change", changed);
  return () => {
    stop();
    light.removeEventListener("change", changed);
  };
}

/** Has the page itself follow the person's choice of colours. */
export function followTheme(): void {
  const show = (): void => void (document.documentElement.dataset["theme"] = settings().theme);
  onSettings(show);
  show();
}
