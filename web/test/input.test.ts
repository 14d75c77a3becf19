import assert from "node:assert/strict";
import { test } from "node:test";
import { InputQueue, MOST } from "../src/input.ts";
import { Piece } from "../src/paste_queue.ts";
import { FakeSocket } from "./support/socket.ts";

const KIB = 1024;
const WINDOW = 64 * KIB;

function opened(received = 0): { socket: FakeSocket; queue: InputQueue } {
  const socket = new FakeSocket();
  const queue = new InputQueue();
  queue.open(socket, { received, window: WINDOW });
  return { socket, queue };
}

test("nothing is sent beyond what is acknowledged and the window", () => {
  const { socket, queue } = opened();
  const paste = "0123456789".repeat(50_000);
  queue.push(paste);
  let received = 0;
  while (socket.bytes(0).length < paste.length) {
    const sent = socket.bytes(0).length;
    assert.ok(sent > received && sent <= received + WINDOW);
    received += Math.min(20 * KIB, sent - received);
    queue.acknowledge(received);
  }
  assert.equal(socket.bytes(0).toString(), paste);
  assert.equal(queue.held, 0);
});

test("a paste leaves room for Ctrl-C, which drops it", () => {
  const { socket, queue } = opened();
  queue.push(`\x1b[200~${"x".repeat(200 * KIB)}\x1b[201~`);
  const before = socket.bytes(0).length;
  assert.ok(before < WINDOW);
  queue.push("\x03");
  assert.equal(socket.bytes(0).subarray(before).toString(), "\x1b[201~\x03");
  assert.equal(queue.held, 0);
  queue.push("after");
  assert.ok(!socket.bytes(0).toString().includes("after"));
  queue.acknowledge(before);
  assert.ok(socket.bytes(0).toString().endsWith("\x03after"));
});

test("dropping without Ctrl-C still ends a bracketed paste", () => {
  const { socket, queue } = opened();
  queue.push(`\x1b[200~${"x".repeat(200 * KIB)}\x1b[201~`);
  queue.drop();
  assert.ok(socket.bytes(0).toString().endsWith("x\x1b[201~"));
});

test("Ctrl-C twice without a connection keeps the end mark of the paste before it", () => {
  const { socket, queue } = opened();
  queue.push(`\x1b[200~${"x".repeat(200 * KIB)}\x1b[201~`);
  queue.close();
  queue.push("\x03");
  queue.push("\x03");
  const again = new FakeSocket();
  queue.open(again, { received: socket.bytes(0).length, window: WINDOW });
  assert.equal(again.bytes(0).toString(), "\x1b[201~\x03\x03");
});

test("another connection has a window of its own, behind what its gateway has", () => {
  const { socket, queue } = opened();
  queue.push("x".repeat(200 * KIB));
  const received = socket.bytes(0).length; // all of it is in the gateway, and the program reads none
  queue.close();
  const again = new FakeSocket();
  queue.open(again, { received, window: WINDOW });
  const sent = again.bytes(0).length;
  assert.ok(sent > WINDOW / 2 && sent <= WINDOW);
  queue.close();
  const third = new FakeSocket();
  queue.open(third, { received: 0, window: WINDOW }); // another gateway, which has none of it
  assert.equal(third.bytes(0).length, received + sent);
});

test("too much at once is refused as a whole, and what waits goes on", () => {
  const queue = new InputQueue();
  assert.equal(queue.push("x".repeat(MOST - 10)), true);
  assert.equal(queue.push("y".repeat(11)), false);
  assert.equal(queue.push("z".repeat(10)), true);
  assert.equal(queue.held, MOST);
});

test("text becomes bytes without splitting a character, whatever the room", () => {
  const text = "größe 終 😀\ud800 end";
  const whole = Buffer.from(text, "utf8");
  for (const room of [4, 5, 6, 7, 100]) {
    const piece = new Piece(text);
    const parts: Uint8Array[] = [];
    while (piece.left > 0) parts.push(piece.take(room));
    assert.ok(parts.every((part) => part.length > 0 && part.length <= room));
    assert.ok(Buffer.concat(parts).equals(whole), `${room}`);
    for (const part of parts) assert.equal(Buffer.from(Buffer.from(part).toString()).length, part.length);
  }
});

test("a character for which there is no room waits", () => {
  const piece = new Piece("😀");
  for (const room of [-5, 0, 1, 3]) assert.equal(piece.take(room).length, 0);
  assert.equal(piece.take(4).length, 4);
});
