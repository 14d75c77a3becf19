import assert from "node:assert/strict";
import { afterEach, test } from "node:test";
import type { Ending, SessionEvent } from "../src/events.ts";
import { Session } from "../src/session.ts";
import { aWhile, FakeSocket } from "./support/socket.ts";

const KIB = 1024;
const MIB = 1024 * KIB;

const sockets: FakeSocket[] = [];
afterEach(() => sockets.splice(0).forEach((socket) => socket.lose())); // a session that lives keeps its timers

function begin(): { socket: FakeSocket; session: Session; events: SessionEvent[] } {
  const socket = new FakeSocket();
  sockets.push(socket);
  const events: SessionEvent[] = [];
  const session = Session.exec(() => socket, "/exec", (event) => events.push(event));
  return { socket, session, events };
}

function begun(): ReturnType<typeof begin> {
  const started = begin();
  started.socket.open();
  started.socket.hello();
  return started;
}

function endings(events: SessionEvent[]): Ending[] {
  return events.flatMap((event) => (event.type === "ended" ? [event.ending] : []));
}

function random(length: number): Uint8Array {
  return Uint8Array.from({ length }, (_, index) => (index * 31 + (index >> 8)) & 0xff);
}

test("hello, started, output, end: in order", () => {
  const { socket, events } = begun();
  socket.receive(1, "");
  socket.receive(5, { type: "started" });
  socket.receive(1, "hi");
  socket.receive(5, { type: "end", code: "exited", hop: "pod", message: "", exitCode: 3 });
  socket.receive(3, { metadata: {}, status: "Success" });
  socket.lose();
  assert.deepEqual(events.map(({ type }) => type), ["reached", "hello", "started", "output", "ended"]);
  assert.deepEqual(endings(events), [{ type: "exited", exitCode: 3 }]);
});

test("output before `started` counts as started", () => {
  const { socket, events } = begin();
  socket.open();
  socket.receive(1, "x");
  socket.receive(5, { type: "started" });
  assert.deepEqual(events.map(({ type }) => type), ["reached", "started", "output"]);
});

test("what ends without a word has not begun; a hop that fails later has", () => {
  const refused = { type: "end", code: "pod_not_found", hop: "cluster", message: "no", exitCode: null };
  const lost = { type: "end", code: "ssh_lost", hop: "ssh", message: "gone", exitCode: null };
  for (const [control, begun] of [[refused, false], [lost, true]] as const) {
    const { socket, events } = begin();
    socket.open();
    socket.receive(5, { type: "started" });
    if (begun) socket.receive(1, "$ ");
    socket.receive(5, control);
    const [ending] = endings(events);
    assert.equal(ending?.type, "failed");
    assert.deepEqual([ending.begun, ending.hop, ending.code], [begun, control.hop, control.code]);
  }
});

test("a Status without an `end` ends too", () => {
  const { socket, events } = begin();
  socket.open();
  const causes = [{ reason: "ExitCode", message: "7" }];
  socket.receive(3, { status: "Failure", reason: "NonZeroExitCode", details: { causes } });
  assert.deepEqual(endings(events), [{ type: "exited", exitCode: 7 }]);
});

test("a socket that closes without an end is lost, or never opened", () => {
  for (const [opened, type] of [[true, "lost"], [false, "unopened"]] as const) {
    const { socket, events } = begin();
    if (opened) socket.open();
    socket.lose();
    assert.deepEqual(endings(events), [{ type }]);
  }
});

test("after the end nothing is sent and nothing is told", () => {
  const { socket, session, events } = begin();
  socket.open();
  socket.receive(5, { type: "end", code: "exited", exitCode: 0 });
  session.write("x");
  session.resize({ columns: 1, rows: 1 });
  socket.receive(1, "late");
  session.dispose();
  socket.lose();
  assert.deepEqual(socket.sent, []);
  assert.equal(events.length, 2);
  assert.equal(socket.closed, 1000);
});

test("the latest size waits for the socket, and keys for the hello", () => {
  const { socket, session } = begin();
  session.resize({ columns: 80, rows: 24 });
  session.write("l");
  session.resize({ columns: 200, rows: 50 });
  session.write("s\r");
  assert.deepEqual(socket.sent, []);
  socket.open();
  assert.deepEqual(socket.texts(4), ['{"Width":200,"Height":50}\n']);
  assert.equal(socket.bytes(0).length, 0);
  socket.hello();
  assert.equal(socket.bytes(0).toString(), "ls\r");
});

test("a paste goes out whole, in pieces of 32 KiB, with at most 1 MiB in the socket", async () => {
  const { socket, session } = begun();
  const paste = random(3 * MIB + 17);
  socket.takes = false;
  session.write(paste);
  session.write("after");
  let rounds = 0;
  while (socket.bytes(0).length < paste.length + 5) {
    assert.ok(socket.waiting() > 0 && socket.waiting() <= MIB);
    socket.drain();
    await aWhile();
    rounds += 1;
  }
  assert.ok(rounds >= 3);
  assert.ok(socket.sent.every((payload) => payload.length <= 32 * KIB + 1));
  assert.ok(socket.bytes(0).equals(Buffer.concat([paste, Buffer.from("after")])));
});

test("Ctrl-C drops what is still queued, once, and is itself sent next", async () => {
  const { socket, session } = begun();
  socket.takes = false;
  session.write(random(2 * MIB));
  const before = socket.bytes(0).length;
  session.write("\x03");
  session.write("ls");
  socket.drain();
  await aWhile();
  assert.ok(before < 2 * MIB);
  assert.deepEqual([...socket.bytes(0).subarray(before)], [3, 0x6c, 0x73]);
});

test("a bracketed paste that Ctrl-C cuts short still gets its end mark", async () => {
  const mark = "\x1b[201~";
  for (const size of [2 * MIB, MIB]) {
    const { socket, session } = begun();
    socket.takes = false;
    session.write(`\x1b[200~${"x".repeat(size)}${mark}`);
    session.write("\x03");
    socket.drain();
    await aWhile();
    assert.ok(socket.bytes(0).toString().endsWith(`x${mark}\x03`));
  }
});

test("Ctrl-C with nothing queued is a key like any other", () => {
  const { socket, session } = begun();
  session.write("abc");
  session.write("\x03");
  assert.equal(socket.bytes(0).toString(), "abc\x03");
});

test("where nothing can be resumed, input has credit all the same, and Ctrl-C drops what has none", () => {
  const { socket, session } = begin();
  socket.open();
  socket.hello(null, 64 * KIB);
  session.write("x".repeat(MIB));
  const paste = socket.bytes(0).length;
  assert.ok(paste > 32 * KIB && paste < 64 * KIB, `${paste}`);
  session.write("\x03");
  assert.equal(socket.bytes(0).toString(), "x".repeat(paste) + "\x03");
  socket.receive(5, { type: "received", offset: paste + 1 });
  assert.equal(session.input.held, 0);
  session.write("y".repeat(MIB));
  assert.ok(socket.bytes(0).length - paste - 1 < 64 * KIB);
});
