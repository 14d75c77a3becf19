/** Saves what a terminal shows and has above its screen, as a file of this computer. */

import type { Terminal } from "@xterm/xterm";
import { make } from "./elements.ts";
import type { Target } from "./protocol/target.ts";
import type { Screen } from "./screen.ts";
import { describeTarget } from "./words.ts";

export type Kind = "txt" | "html";

const TYPES = { txt: "text/plain;charset=utf-8", html: "text/html;charset=utf-8" } as const;
/** Nothing in a saved page runs or is fetched, whatever a program wrote. */
const POLICY = "default-src 'none'; style-src 'unsafe-inline'";
/** Milliseconds after which the browser has taken the file. */
const TAKEN = 60_000;

/** Returns the lines of a terminal, each as the program wrote the line: what was wrapped is one line again. */
export function textOf({ buffer }: Pick<Terminal, "buffer">): string {
  const lines: string[] = [];
  for (let at = 0; at < buffer.active.length; at++) {
    const line = buffer.active.getLine(at);
    const goesOn = buffer.active.getLine(at + 1)?.isWrapped ?? false;
    const text = line?.translateToString(!goesOn) ?? "";
    if (line?.isWrapped && lines.length > 0) lines.push(`${lines.pop() ?? ""}${text}`);
    else lines.push(text);
  }
  return `${lines.join("\n").trimEnd()}\n`;
}

/** Returns a page from what the serializer of xterm.js makes of a terminal. */
export function pageOf(serialized: string, target: Target): string {
  const title = describeTarget(target).replaceAll("&", "&amp;").replaceAll("<", "&lt;");
  const head = `<meta charset="utf-8"><meta http-equiv="Content-Security-Policy" content="${POLICY}"><title>${title}</title>`;
  return `<!doctype html>${serialized.replace("<html>", `<html lang="en"><head>${head}</head>`)}\n`;
}

/** Returns a name from target and time, without a character that a file system refuses. */
export function fileName({ namespace, pod, container }: Target, when: Date, kind: Kind): string {
  const two = (number: number): string => `${number}`.padStart(2, "0");
  const day = [when.getFullYear(), two(when.getMonth() + 1), two(when.getDate())].join("-");
  const time = [when.getHours(), when.getMinutes(), when.getSeconds()].map(two).join("");
  const named = [namespace, pod, container].filter(Boolean).join("_").replace(/[^\w.-]/g, "-").slice(0, 120);
  return `${named}_${day}_${time}.${kind}`;
}

/** Has the browser save what a terminal has. */
export function saveScrollback({ terminal, html }: Pick<Screen, "terminal" | "html">, target: Target, kind: Kind): void {
  const content = kind === "html" ? pageOf(html(), target) : textOf(terminal);
  const url = URL.createObjectURL(new Blob([content], { type: TYPES[kind] }));
  make("a", { href: url, download: fileName(target, new Date(), kind) }).click();
  setTimeout(() => URL.revokeObjectURL(url), TAKEN);
}
