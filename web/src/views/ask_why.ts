/** Finds out why the gateway did not take a WebSocket: a browser hides why a handshake failed. */

import * as access from "../access.ts";
import type { EndingWords } from "../endings.ts";
import { visible } from "../words.ts";

export type Why = { readonly type: "unauthorized"; readonly message: string } | { readonly type: "words"; readonly words: EndingWords };

/** Asks the gateway with an ordinary request, and returns what the person should hear. */
export async function askWhy(): Promise<Why> {
  const answer = await access.clusters();
  if (answer.type === "refused" && answer.status === 401) return { type: "unauthorized", message: answer.message };
  if (answer.type === "refused") return words(`The gateway refuses: ${visible(answer.message)}`);
  if (answer.type === "unreachable") return words(`The gateway does not answer at ${location.origin}.`);
  return words("The gateway did not take the WebSocket, though it answers. Is a proxy in between?");
}

function words(sentence: string): Why {
  return { type: "words", words: { state: "failed: gateway", sentence, mood: "bad" } };
}
