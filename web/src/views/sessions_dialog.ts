/** Lists the sessions of whoever is signed in, and lets them go on with one here, or end it. */

import * as access from "../access.ts";
import { openDialog } from "../dialogs.ts";
import { make } from "../elements.ts";
import { age } from "../lists/row.ts";
import { asObject, asText, type JsonObject } from "../protocol/utf8.ts";
import { visible } from "../words.ts";

export interface SessionsHooks {
  /** Goes on here with a session, whoever has it now. */
  attach(session: ListedSession): void;
  unauthorized(message: string): void;
}

export interface ListedSession {
  readonly name: string;
  readonly identity: string;
  readonly cluster: string;
  readonly namespace: string;
  readonly pod: string;
  readonly container: string;
  readonly command: readonly string[];
  readonly attached: boolean;
  readonly resumable: boolean;
  /** Seconds of the epoch. */
  readonly opened: number;
  /** Seconds without input and output. */
  readonly idle: number;
}

export function sessionsDialog(hooks: SessionsHooks): void {
  const place = make("div", { role: "status" }, "Reading the sessions…");
  const dialog = openDialog("Sessions", [place]);
  void fill(place, dialog.close, hooks);
}

async function fill(place: HTMLElement, close: () => void, hooks: SessionsHooks): Promise<void> {
  const answer = await access.sessions();
  if (!place.isConnected) return;
  if (answer.type === "refused" && answer.status === 401) {
    close();
    return hooks.unauthorized(answer.message);
  }
  place.removeAttribute("role");
  if (answer.type !== "ok") {
    const why = answer.type === "refused" ? visible(answer.message) : "The gateway does not answer.";
    return place.replaceChildren(make("p", { class: "problem", role: "alert" }, why));
  }
  const listed = answer.value.flatMap((each) => parse(each) ?? []);
  if (listed.length === 0) return place.replaceChildren(make("p", { class: "hint" }, "Nothing is open."));
  const again = (): void => void fill(place, close, hooks);
  const several = new Set(listed.map(({ identity }) => identity)).size > 1;
  const head = make("tr", {}, ...["Where", ...(several ? ["Whose"] : []), "Open for", "Quiet for"].map((title) => make("th", { scope: "col" }, title)), make("td"));
  const rows = listed.map((session) => row(session, several, close, again, hooks));
  place.replaceChildren(make("table", { class: "sessions" }, make("thead", {}, head), make("tbody", {}, ...rows)));
}

function row(session: ListedSession, several: boolean, close: () => void, again: () => void, hooks: SessionsHooks): HTMLElement {
  const { cluster, namespace, pod, container, command, identity, attached, resumable } = session;
  const where = visible([cluster, namespace, pod, container].filter(Boolean).join(" / ") || cluster);
  const what = command.length > 0 ? make("div", { class: "hint" }, visible(command.join(" "))) : "";
  const here = make("button", { type: "button", class: "quiet" }, attached ? "Take over" : "Go on here");
  here.addEventListener("click", () => {
    close();
    hooks.attach(session);
  });
  const end = make("button", { type: "button", class: "quiet" }, "End");
  end.addEventListener("click", () => {
    if (end.textContent === "End") return void (end.textContent = "End it, sure?");
    end.disabled = true;
    void access.endSession(session.name).then(again);
  });
  const buttons = [...(resumable && pod ? [here] : []), end];
  return make(
    "tr",
    {},
    make("td", {}, where, what),
    ...(several ? [make("td", {}, visible(identity))] : []),
    make("td", {}, age(Date.now() / 1000 - session.opened)),
    make("td", {}, age(session.idle)),
    make("td", {}, ...buttons),
  );
}

function parse(value: unknown): ListedSession | undefined {
  const body: JsonObject = asObject(value) ?? {};
  const text = (name: string): string => asText(body[name]);
  const count = (name: string): number => (typeof body[name] === "number" ? body[name] : 0);
  if (!text("name")) return undefined;
  const words: readonly unknown[] = Array.isArray(body["command"]) ? body["command"] : [];
  return {
    name: text("name"), identity: text("identity"), cluster: text("cluster"), namespace: text("namespace"), pod: text("pod"),
    container: text("container"), command: words.map(asText), attached: body["attached"] === true,
    resumable: body["resumable"] === true, opened: count("opened"), idle: count("idle"),
  };
}
