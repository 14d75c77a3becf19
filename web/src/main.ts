/** Reads the page's link, and shows the view that the link asks for. */

import "./boot.ts";
import "./style.css";
import * as access from "./access.ts";
import { part } from "./elements.ts";
import { find, forgetAll } from "./tab_storage.ts";
import type { Disposable } from "./lifecycle.ts";
import { parseFragment, type Route } from "./route.ts";
import { execPath } from "./protocol/target.ts";
import { StatusLine } from "./status.ts";
import { chooseView } from "./views/choose.ts";
import { confirmView } from "./views/confirm.ts";
import { ShellView } from "./views/shell.ts";
import { signInView } from "./views/signin.ts";
import { visible } from "./words.ts";

const host = part("main");
const status = new StatusLine();
let view: Disposable | undefined;
/** Number of the current view: an answer to an earlier view comes too late, and is dropped. */
let turn = 0;

function clear(): void {
  turn += 1;
  view?.dispose();
  view = undefined;
  status.clear();
  status.who(visible(access.identity()));
  status.signOut(access.token() === null ? undefined : leave);
}

function show(element: HTMLElement): void {
  host.replaceChildren(element);
  host.querySelector<HTMLElement>("input:not([value]), button")?.focus();
}

function follow(): void {
  clear();
  const route = parseFragment(location.hash.slice(1));
  if (route.type === "ticket") {
    // first of all, so that nobody copies the ticket from the address bar or finds the ticket in the history
    goTo(route.path);
    void enter(route.ticket);
  } else if (access.token() === null) signIn("");
  else open(route);
}

function open(route: Exclude<Route, { type: "ticket" }>): void {
  switch (route.type) {
    case "choose":
      return choose("");
    case "bad":
      return choose(`This link does not work. ${visible(route.why)}`);
    case "exec":
      // the person agreed to a session of this tab when the session began
      if (route.argv.length === 0 || find(execPath(route.target, route.argv))) return run(route);
      view = confirmView(host, { ...route, accept: () => run(route) });
  }
}

function run({ target, argv }: Extract<Route, { type: "exec" }>): void {
  view = new ShellView(host, { target, argv, status, unauthorized });
}

function choose(problem: string): void {
  const go = (fragment: string): void => void (location.hash = fragment);
  show(chooseView({ problem, go, unauthorized }));
}

async function enter(ticket: string): Promise<void> {
  status.state("busy", "signing in");
  host.replaceChildren();
  const mine = turn;
  const answer = await access.exchange(ticket);
  if (mine !== turn) return;
  clear();
  if (answer.type === "unreachable") return signIn(`The gateway does not answer at ${location.origin}.`, ticket);
  // a link opened twice in one tab: the token of the first time is still good
  if (answer.type === "ok" || (answer.status === 401 && access.token() !== null)) return follow();
  signIn(`The gateway did not take the ticket: ${visible(answer.message)}`);
}

/** Signs this tab out and ends what the tab has open; asks the person first while a session runs. */
function leave(): void {
  if (view instanceof ShellView) view.beforeSignOut(() => void signOut());
  else void signOut();
}

async function signOut(): Promise<void> {
  const revoked = access.signOut();
  clear();
  forgetAll();
  const mine = turn;
  host.replaceChildren();
  const { type } = await revoked;
  if (mine !== turn) return;
  const untold = `The gateway does not answer at ${location.origin}: what this tab had lasts until it expires, or until “dap access revoke”.`;
  signIn(type === "unreachable" ? untold : "");
}

function unauthorized(message: string): void {
  access.forget();
  clear();
  signIn(`The gateway does not know this tab any more: ${visible(message)}`);
}

function signIn(reason: string, ticket = ""): void {
  const take = (pasted: string, path: string): void => {
    if (path) goTo(path);
    clear();
    void enter(pasted);
  };
  show(signInView({ reason, ticket, enter: take }));
}

/** Puts `path` into the address bar alone, without an entry in the history and without an event; a `path` that begins
 * with anything but a slash empties the fragment.
 */
function goTo(path: string): void {
  const fragment = path.startsWith("/") ? `#${path}` : "";
  history.replaceState(null, "", location.pathname + location.search + fragment);
}

window.addEventListener("hashchange", follow);
follow();
