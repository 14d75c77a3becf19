/** Formats names, commands, sizes and times for a person. Text from outside passes through `visible` first. */

import type { Argv, Target } from "./protocol/target.ts";

const LONGEST = 2000;
// Control characters, and characters that reorder or hide the text around (direction marks, zero-width, separators)
const UNSEEN = /[\u0000-\u001f\u007f-\u009f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]|[\u{e0000}-\u{e0fff}]|\p{Surrogate}/gu;

/** Escapes the invisible characters of `text`, and cuts a text that is too long to read. */
export function visible(text: string): string {
  const escaped = text.replace(UNSEEN, (character) => {
    if (character === "\n") return "\\n";
    if (character === "\t") return "\\t";
    const code = character.codePointAt(0) ?? 0;
    return code < 0x100 ? `\\x${code.toString(16).padStart(2, "0")}` : `\\u{${code.toString(16)}}`;
  });
  return escaped.length > LONGEST ? `${escaped.slice(0, LONGEST)}…` : escaped;
}

/** Returns `argv` as a line to type in a shell, with quotes and escapes where needed. */
export function shellWords(argv: Argv): string {
  return argv.map((word) => (/^[\w@%+=:,./-]+$/.test(word) ? word : `'${escapedWord(word)}'`)).join(" ");
}

function escapedWord(word: string): string {
  return visibleWhole(word.replaceAll("'", "'\\''"));
}

/** Escapes all of `text` without a cut: a person who agrees to a command must see the whole command. */
function visibleWhole(text: string): string {
  const parts = text.match(/[^]{1,1000}/gu) ?? [];
  return parts.map(visible).join("");
}

export function describeTarget(target: Target): string {
  const { cluster, namespace, pod, container } = target;
  return [cluster, namespace || "(default namespace)", pod, container].filter(Boolean).join(" / ");
}

/** Returns `bytes` in MB or, below 0.1 MB, in kB. */
export function megabytes(bytes: number): string {
  const mb = bytes / 1e6;
  if (mb >= 9.95) return `${Math.round(mb)} MB`;
  return mb >= 0.095 ? `${mb.toFixed(1)} MB` : `${Math.max(1, Math.round(bytes / 1000))} kB`;
}

/** Returns a length of time in one unit: 10 min, 90 s. */
export function duration(seconds: number): string {
  if (seconds >= 7200) return `${Math.round(seconds / 3600)} h`;
  return seconds >= 120 ? `${Math.round(seconds / 60)} min` : `${seconds} s`;
}

/** Returns for how long something has been there: minutes, hours or days, each as far as it is complete. */
export function uptime(seconds: number): string {
  if (seconds < 60) return "< 1 min";
  if (seconds < 2 * 3600) return `${Math.floor(seconds / 60)} min`;
  return seconds < 48 * 3600 ? `${Math.floor(seconds / 3600)} h` : `${Math.floor(seconds / 86_400)} d`;
}

/** Returns the seconds left as a clock that counts down: 9:58; 0:00 once the time is over. */
export function clock(seconds: number): string {
  const whole = Math.max(0, Math.ceil(seconds));
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, "0")}`;
}
