/** Keeps what a person types while the terminal's code is still on its way. */

const NAMED: Readonly<Record<string, string>> = { Enter: "\r", Backspace: "\x7f", Tab: "\t" };

/** Begins to keep keys; the result stops that, and returns them as a terminal sends them. */
export function keepKeys(): () => string {
  let typed = "";
  const keyed = (event: KeyboardEvent): void => {
    const { key } = event;
    const text = NAMED[key] ?? (key.length === 1 ? key : "");
    if (!text || event.ctrlKey || event.metaKey || event.altKey || event.repeat || event.target instanceof HTMLInputElement) return;
    typed += text;
    event.preventDefault();
  };
  window.addEventListener("keydown", keyed);
  return () => {
    window.removeEventListener("keydown", keyed);
    return typed;
  };
}
