/** Keeps Ctrl and Alt that were touched, for the next key: the keyboards of phones have neither. */

export type Modifier = "ctrl" | "alt";

/** Matches the keys whose modifiers xterm puts into a number: arrows, Home and End. */
const CURSOR = /^\x1b[[O]([A-DHF])$/;

export class Modifiers {
  readonly #held = new Set<Modifier>();
  readonly #changed: () => void;

  constructor(changed: () => void) {
    this.#changed = changed;
  }

  has(modifier: Modifier): boolean {
    return this.#held.has(modifier);
  }

  toggle(modifier: Modifier): void {
    if (!this.#held.delete(modifier)) this.#held.add(modifier);
    this.#changed();
  }

  /** Returns what a terminal sends for `text` with the modifiers, which are for one key alone. */
  apply(text: string): string {
    if (this.#held.size === 0) return text;
    const [ctrl, alt] = [this.has("ctrl"), this.has("alt")];
    this.#held.clear();
    this.#changed();
    const cursor = CURSOR.exec(text)?.[1];
    if (cursor !== undefined) return `\x1b[1;${1 + (alt ? 2 : 0) + (ctrl ? 4 : 0)}${cursor}`;
    return (alt ? "\x1b" : "") + (ctrl ? control(text) : text);
  }
}

/** Returns the control character of a key: of the letters, and of @ [ \ ] ^ _ ? and the space. */
function control(text: string): string {
  if (text === "?") return "\x7f";
  if (text === " ") return "\0";
  const code = text.length === 1 ? text.toUpperCase().charCodeAt(0) : 0;
  return code >= 0x40 && code <= 0x5f ? String.fromCharCode(code - 0x40) : text;
}
