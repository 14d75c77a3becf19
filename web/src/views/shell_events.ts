/** Tells a person what happens to a session that goes on: in the line at the top, in the bars, in the terminal. */

import type { SessionEvent } from "../events.ts";
import { isName } from "../protocol/target.ts";
import type { Session } from "../session.ts";
import { say, type Terminal } from "../terminal.ts";
import { visible } from "../words.ts";
import type { LiveNotices } from "./live_notices.ts";
import type { Opening } from "./opening.ts";
import type { Shell } from "./shell.ts";

export interface Told {
  readonly shell: Shell;
  readonly what: string;
  readonly notices: LiveNotices;
  readonly opening: Opening;
  readonly terminal: Terminal;
  /** The session that runs now. */
  session(): Session | undefined;
}

export function tell(event: SessionEvent, { shell, what, notices, opening, terminal, session }: Told): void {
  const { status, target } = shell;
  switch (event.type) {
    case "hello":
      status.target({
        ...target,
        ...(isName(event.namespace) && { namespace: event.namespace }),
        ...(isName(event.container) && { container: event.container }),
      });
      status.opened(event.age === undefined ? undefined : Date.now() - event.age * 1000);
      if (event.note) say(terminal, [visible(event.note)]);
      status.kept(event.grace, what, () => notices.end(() => session()?.finish()));
      return status.state("busy", "starting");
    case "started":
      return status.state("good", "connected", opening.times);
    case "away":
      status.kept(undefined);
      status.pulse(undefined);
      status.state("busy", "reconnecting");
      return notices.away(event, () => session()?.retry, () => session()?.check());
    case "back":
      notices.back();
      return status.state("good", "connected");
    case "hop":
      if (event.code) status.state("busy", `waiting: ${visible(event.hop)}`);
      else status.state("good", "connected");
      return notices.hop(event);
    case "warning":
      return notices.warning(event, () => session()?.stay());
    case "pulse":
      return status.pulse(event.milliseconds);
    case "held": {
      const running = session();
      return running && notices.held(running);
    }
    case "tooMuch":
      return notices.tooMuch(event);
  }
}
