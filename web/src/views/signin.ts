/** Shows how to sign in, with a field for the link that `dap open` printed. */

import { alertLine, card, make, textField } from "../elements.ts";
import { parsePasted } from "../route.ts";
import { visible } from "../words.ts";

export interface SignIn {
  /** Why the person has to sign in again; empty the first time. */
  readonly reason: string;
  /** Ticket that may still be good, because the gateway did not answer; otherwise empty. */
  readonly ticket: string;
  enter(ticket: string, path: string): void;
}

export function signInView({ reason, ticket, enter }: SignIn): HTMLElement {
  const { row, input } = textField("ticket", "Link or ticket", { required: "", placeholder: "http://localhost:8080/#ticket=…" });
  input.value = ticket;
  const problem = alertLine(reason);
  const form = make("form", {}, row, make("p", {}, make("button", {}, "Sign in")));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const pasted = parsePasted(input.value);
    if (pasted.type === "ticket") return enter(pasted.ticket, pasted.path);
    problem.textContent = pasted.type === "bad" ? `This does not sign you in. ${visible(pasted.why)}` : "This link has no ticket in it.";
    input.select();
  });
  return card(
    "Sign in with a link",
    problem,
    make("p", {}, "Where the gateway runs, type ", make("code", {}, "dap open"), " in a terminal. It prints a link; open it, or paste it here."),
    form,
    make("p", { class: "hint" }, "A link works once and for five minutes. What it gives stays in this tab, until the tab is closed."),
  );
}

/** Asks whether the tab of one person should become another's, whose link was opened in it. */
export function otherView(before: string, after: string, stay: () => void, change: () => void): HTMLElement {
  const [staying, changing] = [make("button", { type: "button" }, `Stay ${before}`), make("button", { type: "button", class: "quiet" }, `Go on as ${after}`)];
  staying.addEventListener("click", stay);
  changing.addEventListener("click", change);
  return card(
    `This link signs in as ${after}`,
    make("p", {}, "This tab is signed in as ", make("strong", {}, before), ". To go on as somebody else ends what it has open, and forgets it."),
    make("div", { class: "next" }, staying, changing),
  );
}
