/** Reads the page's link, and shows the view that the link asks for. */

import "./boot.ts";
import "./style.css";
import * as access from "./access.ts";
import { part } from "./elements.ts";
import { keepKeys } from "./early_keys.ts";
import { listenForKeys } from "./keys.ts";
import type { Disposable } from "./lifecycle.ts";
import { forgetLists } from "./lists/lists.ts";
import { forgetListMemory } from "./lists/memory.ts";
import { forgetRecent, remember } from "./lists/recent.ts";
import { fragmentOf, parseFragment, replaceFragment, type Route } from "./route.ts";
import { execPath, type Target } from "./protocol/target.ts";
import { StatusLine } from "./status.ts";
import { followTheme } from "./theme.ts";
import { closeDialog, confirmDialog } from "./dialogs.ts";
import { fragmentWith, keepTabs, keptTabs } from "./tab_list.ts";
import { find, forgetAll, keep } from "./tab_storage.ts";
import { actionsDialog } from "./views/actions_dialog.ts";
import { chooseView } from "./views/choose.ts";
import { confirmView } from "./views/confirm.ts";
import { FindView } from "./views/find.ts";
import { openPalette } from "./views/palette.ts";
import { loadShell } from "./views/load_shell.ts";
import { MOST, Shells } from "./views/shells.ts";
import { actOnPanes, shellActions } from "./views/shell_actions.ts";
import { sessionsDialog, type ListedSession } from "./views/sessions_dialog.ts";
import { settingsDialog } from "./views/settings_dialog.ts";
import { otherView, signInView } from "./views/signin.ts";
import { followViewport } from "./viewport.ts";
import { visible } from "./words.ts";

/** Milliseconds after which the terminal's code is fetched, so that a shell opens at once. */
const AHEAD = 1000;
/** Milliseconds for which an attach to a listed session is retried. */
const ATTACH = 30_000;

const host = part("view");
const status = new StatusLine();
const shells = new Shells(part("shells"), part("tabs"), status);
let view: Disposable | undefined;
/** Number of the current view: an answer to an earlier view comes too late, and is dropped. */
let turn = 0;
/** Settles once the shells of before a reload are open, of which the link may name one. */
let reopening: Promise<void> | undefined;

function clear(): void {
  turn += 1;
  closeDialog();
  view?.dispose();
  view = undefined;
  shells.hide();
  host.replaceChildren();
  status.clear();
  status.who(visible(access.identity()));
  status.signOut(access.token() === null ? undefined : leave);
  status.sessions(access.token() === null ? undefined : () => sessionsDialog({ attach, unauthorized }));
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
    case "find":
      return list(route);
    case "name":
      return name("", route.given);
    case "bad":
      return name(`This link does not work. ${visible(route.why)}`, {});
    case "exec":
      // the person agreed to a session of this tab when the session began
      if (route.argv.length === 0 || find(execPath(route.target, route.argv))) return void run(route);
      view = confirmView(host, { ...route, accept: () => void run(route) });
  }
}

/** Shows the shell that is open there, or opens it; the terminal's code comes when it is needed first. */
async function run({ target, argv }: Extract<Route, { type: "exec" }>): Promise<void> {
  const mine = turn;
  if (shells.has(target, argv)) return shells.show(target, argv);
  if (shells.full) return name(`At most ${MOST} shells can be open in one page: close one first, or open another page.`, target);
  status.target(target);
  status.state("busy", "connecting");
  const typedSoFar = keepKeys();
  await reopening;
  const makeShell = await loadShell(unauthorized);
  const typed = typedSoFar();
  if (mine !== turn) return;
  if (!makeShell) return name("The terminal of this page could not be loaded: the gateway does not answer, or is another one now. Reload the page.", target);
  if (argv.length === 0) remember(access.identity(), target);
  if (shells.has(target, argv)) shells.show(target, argv); // opened again by now
  else shells.open(target, argv, makeShell);
  if (typed) shells.shown?.type(typed);
}

/** Opens the shells again that the page had before a reload, behind the one that the link names. */
async function reopen(): Promise<void> {
  const tabs = keptTabs();
  if (tabs.length === 0 || access.token() === null) return;
  const makeShell = await loadShell(unauthorized);
  if (makeShell) for (const tab of tabs) shells.reopen(tab, makeShell);
}

/** Goes on here with a session that another tab or program has, or that nobody has now. */
function attach({ name, cluster, namespace, pod, container, command }: ListedSession): void {
  const target = { cluster, namespace, pod, container: container || undefined };
  const kept = { name, secret: null, grace: 0, offset: null, until: Date.now() + ATTACH };
  shells.leaveOf(target, command);
  keep(execPath(target, command), { kept, taken: false });
  const fragment = fragmentWith(fragmentOf(target), command);
  if (location.hash === fragment) follow();
  else location.hash = fragment;
}

function list({ cluster, namespace }: Extract<Route, { type: "find" }>): void {
  const opened = new FindView(host, { cluster, namespace, open: (target: Target) => void (location.hash = fragmentOf(target)), unauthorized });
  view = opened;
  opened.focus();
  setTimeout(() => void loadShell(unauthorized), AHEAD);
}

function name(problem: string, given: Partial<Target>): void {
  const go = (fragment: string): void => void (location.hash = fragment);
  show(chooseView({ problem, given, go, unauthorized }));
}

async function enter(ticket: string): Promise<void> {
  status.state("busy", "signing in");
  host.replaceChildren();
  const mine = turn;
  const before = access.token() === null ? "" : access.identity();
  const answer = await access.exchange(ticket);
  if (answer.type === "ok" && before && before !== answer.value.name) {
    if (mine !== turn) return void access.revoke(answer.value.token);
    return askWho(before, answer.value);
  }
  if (answer.type === "ok") access.keep(answer.value);
  if (mine !== turn) return;
  clear();
  if (answer.type === "unreachable") return signIn(`The gateway does not answer at ${location.origin}.`, ticket);
  // a link opened twice in one tab: the token of the first time is still good
  if (answer.type === "ok" || (answer.status === 401 && access.token() !== null)) return follow();
  signIn(`The gateway did not take the ticket: ${visible(answer.message)}`);
}

/** Asks before the tab becomes another person's: a link may come from anybody. */
function askWho(before: string, given: access.Given): void {
  clear();
  const stay = (): void => {
    void access.revoke(given.token);
    follow();
  };
  const change = (): void => {
    void access.revoke(access.token() ?? "");
    forgetAllOf();
    access.keep(given);
    follow();
  };
  show(otherView(visible(before), visible(given.name), stay, change));
}

/** Signs this tab out and ends what the tab has open; asks the person first while a session runs. */
function leave(): void {
  const go = (): void => void signOut();
  if (shells.shown?.live && shells.live === 1) shells.shown.beforeSignOut(go);
  else if (shells.live === 0) go();
  else confirmDialog(`Sign out, and end ${shells.live === 1 ? "the shell" : `all ${shells.live} shells`}, and what runs in them?`, [], "End them and sign out", go);
}

/** Forgets what the tab has of the person before: no screen is shown to another. */
function forgetAllOf(): void {
  shells.leave();
  forgetAll();
  keepTabs([]);
  forgetListMemory();
  forgetLists();
}

async function signOut(): Promise<void> {
  forgetRecent(access.identity());
  const revoked = access.signOut();
  forgetAllOf();
  clear();
  const mine = turn;
  host.replaceChildren();
  const { type } = await revoked;
  if (mine !== turn) return;
  const untold = `The gateway does not answer at ${location.origin}: what this tab had lasts until it expires, or until “dap access revoke”.`;
  signIn(type === "unreachable" ? untold : "");
}

function unauthorized(message: string): void {
  access.forget();
  shells.leave();
  clear();
  forgetListMemory();
  forgetLists();
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

/** Puts `path` into the address bar; one that begins with anything but a slash empties the fragment. */
function goTo(path: string): void {
  replaceFragment(path.startsWith("/") ? `#${path}` : "");
}

function palette(open: (target: Target) => void): void {
  openPalette({ open, unauthorized, actions: shells.tab && actions });
}

const actions = (): void => actionsDialog(shellActions(shells, palette));

part("settings").addEventListener("click", settingsDialog);
followTheme();
followViewport();
listenForKeys({
  next: (by) => shells.next(by), panes: (action) => actOnPanes(shells, action),
  palette: () => {
    if (access.token() === null) return;
    if (view instanceof FindView) view.focus();
    else palette((target) => void (location.hash = fragmentOf(target)));
  },
});
part("actions").addEventListener("click", actions);
window.addEventListener("hashchange", follow);
reopening = reopen();
follow();
