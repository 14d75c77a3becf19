/** What a person is told. Text from outside passes through `visible` first. */

import type { Argv, Target } from "./protocol/target.ts";
import type { Ending } from "./session.ts";

const LONGEST = 2000;
// Controls, and what reorders or hides the text around it (marks of direction, zero-width, separators)
const UNSEEN = /[\u0000-\u001f\u007f-\u009f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]|[\u{e0000}-\u{e0fff}]|\p{Surrogate}/gu;

/** Escapes what would not be seen as itself, and shortens what no one would read. */
export function visible(text: string): string {
  const escaped = text.replace(UNSEEN, (character) => {
    if (character === "\n") return "\\n";
    if (character === "\t") return "\\t";
    const code = character.codePointAt(0) ?? 0;
    return code < 0x100 ? `\\x${code.toString(16).padStart(2, "0")}` : `\\u{${code.toString(16)}}`;
  });
  return escaped.length > LONGEST ? `${escaped.slice(0, LONGEST)}…` : escaped;
}

/** One line as one would type it in a shell. */
export function shellWords(argv: Argv): string {
  return argv.map((word) => (/^[\w@%+=:,./-]+$/.test(word) ? word : `'${escapedWord(word)}'`)).join(" ");
}

function escapedWord(word: string): string {
  return visibleWhole(word.replaceAll("'", "'\\''"));
}

/** Nothing of a command may be left out of what a person agrees to. */
function visibleWhole(text: string): string {
  const parts = text.match(/[^]{1,1000}/gu) ?? [];
  return parts.map(visible).join("");
}

export function describeTarget(target: Target): string {
  const { cluster, namespace, pod, container } = target;
  return [cluster, namespace, pod, container].filter(Boolean).join(" / ");
}

const HOPS: Readonly<Record<string, string>> = {
  client: "this page",
  gateway: "the gateway",
  ssh: "SSH to the management host",
  incus: "Incus on the management host",
  runner: "the runner",
  kubectl: "kubectl in the runner",
  cluster: "the cluster",
  pod: "the pod",
};

export interface EndingWords {
  /** For the status line: a few words. */
  readonly state: string;
  /** For the terminal: a sentence. */
  readonly sentence: string;
  readonly mood: "ended" | "bad";
}

export function describeEnding(ending: Ending, what: string): EndingWords {
  switch (ending.type) {
    case "exited":
      return {
        state: `ended, exit ${ending.exitCode}`,
        sentence: `The ${what} ended with exit code ${ending.exitCode}.`,
        mood: "ended",
      };
    case "failed": {
      const place = HOPS[ending.hop] ?? (visible(ending.hop) || "the gateway");
      const verb = ending.begun ? "was ended" : "could not start";
      const code = ending.code ? ` (${visible(ending.code)})` : "";
      const said = visible(ending.message) || "no reason was given";
      return {
        state: `failed: ${visible(ending.hop) || "gateway"}`,
        sentence: `The ${what} ${verb}. From ${place}: ${said}${code}`,
        mood: "bad",
      };
    }
    case "lost":
      return {
        state: "connection lost",
        sentence: `The connection to the gateway was lost, and this ${what} with it.`,
        mood: "bad",
      };
    case "unopened":
      return { state: "failed: gateway", sentence: "The gateway did not take the connection.", mood: "bad" };
  }
}
