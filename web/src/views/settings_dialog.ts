/** Shows a person's settings; each holds as soon as it is chosen. */

import { openDialog } from "../dialogs.ts";
import { make } from "../elements.ts";
import { change, CURSORS, DEFAULTS, FONT_SIZES, SCROLLBACKS, settings, THEMES, type Settings } from "../settings.ts";

const THEME_NAMES = { system: "as the system", dark: "dark", light: "light", contrast: "high contrast" } as const;

export function settingsDialog(): void {
  const rows = [
    choice("theme", "Colours", THEMES, (theme) => THEME_NAMES[theme]),
    number("fontSize", "Font size", FONT_SIZES, 1),
    text("font", "Font", "the page’s choice"),
    choice("cursor", "Cursor", CURSORS, (cursor) => cursor),
    number("scrollback", "Lines kept above the screen", SCROLLBACKS, 1000),
    truth("confirmPaste", "Show a paste of several lines first"),
    truth("screenReader", "Screen reader mode: output is read out"),
  ];
  const reset = make("button", { type: "button", class: "quiet" }, "Back to the defaults");
  reset.addEventListener("click", () => {
    change(DEFAULTS);
    settingsDialog();
  });
  const note = make("p", { class: "hint" }, "Kept in this browser.");
  openDialog("Settings", [make("div", { class: "settings" }, ...rows), make("div", { class: "next" }, reset, note)]);
}

function row(label: string, field: HTMLElement): HTMLElement {
  return make("label", {}, make("span", {}, label), field);
}

function choice<Name extends "theme" | "cursor">(
  name: Name,
  label: string,
  values: readonly Settings[Name][],
  title: (value: Settings[Name]) => string,
): HTMLElement {
  const options = values.map((value) => make("option", { value, ...(settings()[name] === value && { selected: "" }) }, title(value)));
  const field = make("select", {}, ...options);
  field.addEventListener("change", () => change({ [name]: field.value }));
  return row(label, field);
}

function number(name: "fontSize" | "scrollback", label: string, { min, max }: { min: number; max: number }, step: number): HTMLElement {
  const field = make("input", { type: "number", min: `${min}`, max: `${max}`, step: `${step}`, value: `${settings()[name]}` });
  field.addEventListener("change", () => {
    change({ [name]: field.valueAsNumber });
    field.value = `${settings()[name]}`;
  });
  return row(label, field);
}

function text(name: "font", label: string, placeholder: string): HTMLElement {
  const field = make("input", { type: "text", value: settings()[name], placeholder, autocomplete: "off", spellcheck: "false" });
  field.addEventListener("change", () => change({ [name]: field.value.trim() }));
  return row(label, field);
}

function truth(name: "confirmPaste" | "screenReader", label: string): HTMLElement {
  const field = make("input", { type: "checkbox", ...(settings()[name] && { checked: "" }) });
  field.addEventListener("change", () => change({ [name]: field.checked }));
  return row(label, field);
}
