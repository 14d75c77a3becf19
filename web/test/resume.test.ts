import assert from "node:assert/strict";
import { afterEach, mock, test } from "node:test";
import type { Kept, SessionEvent } from "../src/events.ts";
import { Session } from "../src/session.ts";
import { FakeGateway } from "./support/gateway.ts";
import { FakeSocket } from "./support/socket.ts";

const GRACE = 600;
const SECOND = 1000;

afterEach(() => mock.timers.reset());

interface Story {
  readonly session: Session;
  readonly events: SessionEvent[];
  /** One for each connection that was tried. */
  readonly sockets: FakeSocket[];
  readonly paths: string[];
  readonly output: () => string;
  readonly types: () => string[];
}

function story(kept?: Kept): Story {
  mock.timers.reset();
  mock.timers.enable({ apis: ["setTimeout", "setInterval", "Date"], now: 0 });
  const [events, sockets, paths]: [SessionEvent[], FakeSocket[], string[]] = [[], [], []];
  const open = (path: string): FakeSocket => {
    paths.push(path);
    sockets.push(new FakeSocket());
    return last(sockets);
  };
  const emit = (event: SessionEvent): void => void events.push(event);
  const session = kept ? Session.attach(open, kept, emit) : Session.exec(open, "/exec", emit);
  const output = (): string =>
    events.map((event) => (event.type === "output" ? Buffer.from(event.data).toString() : event.type === "gap" ? `<${event.bytes}>` : "")).join("");
  return { session, events, sockets, paths, output, types: () => events.map(({ type }) => type) };
}

/** A session that can be resumed, with some output, whose connection is then lost. */
function lost(window = 1024): Story {
  const told = story();
  told.sockets[0]?.open();
  told.sockets[0]?.hello({ window });
  told.sockets[0]?.receive(1, "one ");
  told.session.drawn(4);
  told.session.resize({ columns: 80, rows: 24 });
  return told;
}

function last<T>(items: readonly T[]): T {
  const item = items.at(-1);
  assert.ok(item !== undefined);
  return item;
}

/** In small steps: the clock stands still within one. */
function pass(milliseconds: number): void {
  for (let left = milliseconds; left > 0; left -= 100) mock.timers.tick(Math.min(100, left));
}

test("a lost connection is attached again, and output goes on where it stood", () => {
  const { sockets, events, paths, output, types } = lost();
  last(sockets).lose();
  assert.equal(sockets.length, 1);
  pass(200);
  assert.deepEqual(paths, ["/exec", "/gateway/v1/sessions/name/attach"]);
  last(sockets).open();
  assert.deepEqual(last(sockets).controls(), [{ type: "attach", secret: "s1", offset: 4 }]);
  assert.deepEqual(last(sockets).texts(4), ['{"Width":80,"Height":24}\n']);
  last(sockets).hello({ secret: "s2", offset: 4, modes: "\x1b[?1h" });
  last(sockets).receive(1, "two");
  assert.equal(output(), "one two");
  assert.ok(events.some((event) => event.type === "back" && event.modes === "")); // this screen has them
  assert.deepEqual(types(), ["reached", "hello", "started", "output", "away", "hello", "back", "output"]);
});

test("the next attach has the secret of the last one", () => {
  const { sockets } = lost();
  for (const secret of ["s1", "s2", "s3"]) {
    last(sockets).lose();
    pass(200);
    last(sockets).open();
    assert.equal(last(sockets).controls()[0]?.["secret"], secret);
    last(sockets).hello({ secret: `s${Number(secret.slice(1)) + 1}`, offset: 4 });
  }
});

test("what was typed and not acknowledged is sent once more, from where the gateway stands", () => {
  for (const [received, again] of [[0, "abcdef"], [2, "cdef"], [6, ""], [9, ""]] as const) {
    const { session, sockets } = lost();
    session.write("abc");
    session.write("def");
    last(sockets).lose();
    pass(200);
    last(sockets).open();
    assert.equal(last(sockets).bytes(0).toString(), "");
    last(sockets).hello({ offset: 4, received });
    assert.equal(last(sockets).bytes(0).toString(), again);
    session.write("g");
    assert.equal(last(sockets).bytes(0).toString(), `${again}g`);
  }
});

test("a gateway that takes another's place may have less, and gets it again; an acknowledgement is for good", () => {
  const { session, sockets } = lost();
  const attach = (received: number): string => {
    last(sockets).lose();
    pass(200);
    last(sockets).open();
    last(sockets).hello({ offset: 4, received });
    return last(sockets).bytes(0).toString();
  };
  session.write("abcdef");
  last(sockets).receive(5, { type: "received", offset: 1 });
  assert.equal(attach(4), "ef");
  assert.equal(attach(2), "cdef");
  last(sockets).receive(5, { type: "received", offset: 3 });
  assert.equal(attach(3), "def");
  assert.equal(session.kept(4)?.input?.received, 3);
});

test("keys typed while away go out behind what is sent again", () => {
  const { session, sockets } = lost();
  session.write("abc");
  last(sockets).receive(5, { type: "received", offset: 1 });
  last(sockets).lose();
  session.write("def");
  pass(200);
  last(sockets).open();
  last(sockets).hello({ offset: 4, received: 1 });
  assert.equal(last(sockets).bytes(0).toString(), "bcdef");
});

test("at random cuts every byte of both directions arrives once", () => {
  const seedling = Date.now();
  mock.timers.reset();
  mock.timers.enable({ apis: ["setTimeout", "setInterval", "Date"], now: 0 });
  const gateway = new FakeGateway(2000);
  let shown = "";
  const session = Session.exec(gateway.connect, "/exec", (event) => {
    assert.notEqual(event.type, "gap");
    if (event.type === "output") shown += Buffer.from(event.data).toString();
  });
  let typed = "";
  let seed = seedling % 2147483648;
  const random = (below: number): number => (seed = (seed * 1103515245 + 12345) % 2147483648) % below;
  gateway.accept();
  for (let round = 0; round < 2000; round += 1) {
    gateway.written += `line ${round}\n`;
    const key = `key${round};`.repeat(random(20));
    typed += key;
    session.write(key);
    gateway.send(random(60));
    if (random(2) === 0) session.drawn(shown.length);
    gateway.take(random(200));
    if (random(3) === 0) gateway.acknowledge();
    pass(random(100));
    if (random(5) > 0) continue;
    gateway.socket.lose();
    pass(200);
    gateway.accept(random(30));
  }
  while (shown.length < gateway.written.length || gateway.taken.length < typed.length) {
    gateway.send(1000);
    session.drawn(shown.length);
    pass(50);
    gateway.take(1000);
    gateway.acknowledge();
  }
  assert.ok(gateway.sockets.length > 100);
  assert.equal(shown, gateway.written);
  assert.equal(gateway.taken, typed);
});

test("tries go on with pauses, at once when asked, until the session is not kept any longer", () => {
  const { session, sockets, events } = lost();
  last(sockets).lose();
  const times: number[] = [];
  while (Date.now() < 20 * SECOND) {
    pass(100);
    if (last(sockets).closed !== undefined || sockets.length === times.length + 1) continue;
    times.push(Date.now());
    last(sockets).lose();
  }
  assert.deepEqual(times.slice(0, 7), [200, 700, 1700, 3700, 8700, 13_700, 18_700]);
  const before = sockets.length;
  session.check();
  assert.equal(sockets.length, before + 1);
  session.check(); // one at a time
  assert.equal(sockets.length, before + 1);
  last(sockets).lose();
  while (!session.ended) {
    pass(1000);
    last(sockets).lose();
  }
  assert.ok(Date.now() >= GRACE * SECOND && Date.now() < (GRACE + 6) * SECOND);
  assert.deepEqual(last(events), { type: "ended", ending: { type: "gaveUp" } });
});

test("a computer that slept past the grace time asks once before it gives up", () => {
  for (const answered of [true, false]) {
    const { sockets, session } = lost();
    last(sockets).lose();
    mock.timers.setTime(2 * GRACE * SECOND);
    pass(200);
    assert.equal(sockets.length, 2);
    if (answered) {
      last(sockets).open();
      last(sockets).hello({ offset: 4 });
    } else last(sockets).lose();
    assert.equal(session.ended, !answered);
  }
});

test("a new session that gets no answer is given up", () => {
  const { sockets, events, types } = story();
  last(sockets).open();
  pass(59_000);
  assert.deepEqual(types(), ["reached"]);
  pass(2000);
  assert.deepEqual(last(events), { type: "ended", ending: { type: "lost" } });
  assert.equal(sockets[0]?.closed, 4001);
});

test("a try that gets no answer is abandoned", () => {
  const { sockets } = lost();
  last(sockets).lose();
  pass(200);
  last(sockets).open();
  const hung = last(sockets);
  pass(15_000);
  assert.equal(hung.closed, 4001);
  pass(5000);
  assert.equal(sockets.length, 3);
  hung.hello({ offset: 4 }); // too late
  last(sockets).open();
  assert.equal(last(sockets).controls()[0]?.["secret"], "s1");
});

test("output that comes a second time is not shown twice; what is missing is said", () => {
  const { sockets, output } = lost();
  last(sockets).lose();
  pass(200);
  last(sockets).open();
  last(sockets).hello({ offset: 1 });
  last(sockets).receive(1, "n");
  last(sockets).receive(1, "e two ");
  last(sockets).receive(5, { type: "gap", bytes: 90 });
  last(sockets).receive(1, "three ");
  last(sockets).lose();
  pass(200);
  last(sockets).open();
  assert.equal(last(sockets).controls()[0]?.["offset"], 104);
  last(sockets).hello({ offset: 111 });
  last(sockets).receive(1, "four");
  assert.equal(output(), "one two <90>three <7>four");
});

test("where the offset is gone, the newest output is asked for once, and the rest is a gap", () => {
  const { sockets, events, output, types } = lost();
  last(sockets).lose();
  pass(200);
  last(sockets).open();
  const gone = { type: "refused", code: "offset_gone", hop: "gateway", message: "gone" };
  last(sockets).receive(5, gone);
  assert.equal(last(sockets).closed, undefined);
  last(sockets).open();
  assert.deepEqual(last(sockets).controls(), [{ type: "attach", secret: "s1", offset: null }]);
  last(sockets).hello({ offset: 1000, modes: "\x1b[?1h" });
  last(sockets).receive(1, "new");
  assert.equal(output(), "one <996>new");
  const backs = events.filter((event) => event.type === "back");
  assert.deepEqual(backs, [{ type: "back", newest: false, modes: "\x1b[?1h" }]);
  last(sockets).lose();
  pass(200);
  last(sockets).open();
  last(sockets).receive(5, gone);
  last(sockets).open();
  last(sockets).receive(5, gone);
  assert.equal(last(types()), "ended");
});

test("a refusal ends, and says why; a gateway that is stopping is asked again", () => {
  for (const code of ["session_unknown", "resume_refused"]) {
    const { sockets, events } = lost();
    last(sockets).lose();
    pass(200);
    last(sockets).open();
    last(sockets).receive(5, { type: "refused", code: "shutdown", hop: "gateway", message: "" });
    pass(500);
    last(sockets).open();
    last(sockets).receive(5, { type: "refused", code, hop: "gateway", message: "no" });
    assert.deepEqual(last(events), { type: "ended", ending: { type: "failed", begun: true, code, hop: "gateway", message: "no" } });
    pass(60_000);
    assert.equal(sockets.length, 3);
  }
});

test("an end that comes while attaching is the session's end", () => {
  const { sockets, events, output } = lost();
  last(sockets).lose();
  pass(200);
  last(sockets).open();
  last(sockets).hello({ offset: 4 });
  last(sockets).receive(1, "bye");
  last(sockets).receive(5, { type: "end", code: "exited", hop: "pod", message: "", exitCode: 2 });
  assert.equal(output(), "one bye");
  assert.deepEqual(last(events), { type: "ended", ending: { type: "exited", exitCode: 2 } });
});

test("a session from before a reload is attached at once, with what it had not got across", () => {
  const input = { received: 10, sent: Buffer.from("abc"), waiting: "de" };
  const kept = { name: "old", secret: "s7", grace: GRACE, offset: 50, until: 60 * SECOND, input };
  const { sockets, paths, types } = story(kept);
  assert.deepEqual(paths, ["/gateway/v1/sessions/old/attach"]);
  last(sockets).open();
  assert.deepEqual(last(sockets).controls(), [{ type: "attach", secret: "s7", offset: 50 }]);
  last(sockets).hello({ offset: 50, received: 12, window: 4096 });
  assert.equal(last(sockets).bytes(0).toString(), "cde");
  assert.deepEqual(types(), ["away", "hello", "back"]);
});

test("what goes into a reload is what comes out of it", () => {
  const { session, sockets } = lost();
  session.write("abc");
  last(sockets).receive(5, { type: "received", offset: 1 });
  last(sockets).lose();
  session.write("d");
  const kept = session.kept(4);
  assert.deepEqual({ ...kept, input: undefined }, { name: "name", secret: "s1", grace: GRACE, offset: 4, until: GRACE * SECOND, input: undefined });
  assert.deepEqual([kept?.input?.received, Buffer.from(kept?.input?.sent ?? []).toString(), kept?.input?.waiting], [1, "bc", "d"]);
});

test("a page that goes leaves the session, one that ends it says so", () => {
  for (const [go, code] of [["leave", 4001], ["dispose", 1000], ["finish", 1000]] as const) {
    const { session, sockets, types } = lost();
    session[go]();
    assert.equal(last(sockets).closed, code);
    pass(60_000);
    assert.equal(sockets.length, 1);
    assert.equal(last(types()), go === "finish" ? "ended" : "output");
  }
});

test("a connection that does not answer any more is given up", () => {
  const { sockets, types } = lost();
  last(sockets).receive(5, { type: "pong" });
  pass(10_000);
  last(sockets).receive(5, { type: "pong" });
  pass(17_000);
  assert.equal(last(types()), "pulse");
  pass(2000);
  assert.equal(last(types()), "away");
  assert.equal(sockets[0]?.closed, 4001);
});

test("a gateway that has never answered is missed as well", () => {
  const { types } = lost();
  pass(17_000);
  assert.equal(last(types()), "output");
  pass(2000);
  assert.equal(last(types()), "away");
});

test("hops and warnings are passed on", () => {
  const { sockets, events } = lost();
  last(sockets).receive(5, { type: "hop", code: "ssh_lost", hop: "ssh", message: "gone", seconds: 600 });
  last(sockets).receive(5, { type: "hop", code: null });
  last(sockets).receive(5, { type: "warning", code: "idle", seconds: 60 });
  last(sockets).receive(5, { type: "warning", code: null });
  assert.deepEqual(events.slice(-4), [
    { type: "hop", code: "ssh_lost", hop: "ssh", message: "gone", seconds: 600 },
    { type: "hop", code: "", hop: "", message: "", seconds: undefined },
    { type: "warning", code: "idle", seconds: 60 },
    { type: "warning", code: "", seconds: 0 },
  ]);
});
