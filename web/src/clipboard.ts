/** Lets a program put text into the clipboard (OSC 52), and never read the clipboard. */

import type { Terminal } from "@xterm/xterm";
import type { Disposable } from "./lifecycle.ts";

/** Bytes that a program may put into the clipboard at once. */
export const MOST_COPIED = 256 * 1024;

/** What a program asks for: text for the clipboard, or more than is taken. Undefined for whatever is done nothing with. */
export type Copy = { readonly text: string } | { readonly units: number } | undefined;

export interface Copies {
  /** Hears what a program has put into the clipboard. */
  copied(text: string): void;
  /** Hears what a program would put there: the browser, or the person's absence, forbids it. `again` does it. */
  offered(text: string, again: () => void): void;
  /** Hears that a program wanted to put too much there, so many characters of base64. */
  refused(units: number): void;
}

/** Parses the text of an OSC 52. A question for the content of the clipboard is nothing. */
export function parseCopy(data: string): Copy {
  const at = data.indexOf(";");
  const selection = data.slice(0, at);
  if (at < 0 || at > 8 || !/^[cpqs0-7]*$/.test(selection)) return undefined;
  if (data.length - at > (MOST_COPIED * 4) / 3 + 4) return { units: data.length };
  const encoded = data.slice(at + 1);
  if (!/^[A-Za-z0-9+/]+={0,2}$/.test(encoded)) return undefined;
  try {
    const text = new TextDecoder().decode(Uint8Array.from(atob(encoded), (unit) => unit.charCodeAt(0)));
    return text ? { text } : undefined;
  } catch {
    return undefined; // base64 of no whole bytes
  }
}

/** Does what programs in `terminal` ask for, one copy at a time. `front` returns true while the person looks at this
 * terminal: the clipboard is not for programs behind.
 */
export function takeCopies({ parser }: Pick<Terminal, "parser">, front: () => boolean, copies: Copies): Disposable {
  let busy = false;
  const write = (text: string): void => {
    busy = true;
    // without a secure context there is no clipboard
    void Promise.resolve(navigator.clipboard?.writeText(text) ?? Promise.reject(new Error("no clipboard")))
      .then(() => copies.copied(text), () => copies.offered(text, () => write(text)))
      .finally(() => (busy = false));
  };
  return parser.registerOscHandler(52, (data) => {
    const copy = parseCopy(data);
    if (!copy || busy) return true;
    if ("units" in copy) copies.refused(copy.units);
    else if (front() && document.hasFocus()) write(copy.text);
    else copies.offered(copy.text, () => write(copy.text));
    return true;
  });
}
