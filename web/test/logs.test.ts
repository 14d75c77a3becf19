import assert from "node:assert/strict";
import { afterEach, mock, test } from "node:test";
import type { Refused } from "../src/access.ts";
import { LogFollow, type LogState } from "../src/logs/follow.ts";
import { harmless, LineSplitter } from "../src/logs/lines.ts";

afterEach(() => mock.timers.reset());

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const at = (second: number, text: string, fraction = "5"): string => `2026-01-02T03:04:${String(second).padStart(2, "0")}.${fraction}Z ${text}\n`;

test("lines come whole, whatever the parts, with times that compare as text", () => {
  const splitter = new LineSplitter();
  const all = bytes(at(1, "grün", "000000001") + at(1, "two", "1") + "no time\nrest");
  const lines = [...all].flatMap((byte) => splitter.push(Uint8Array.of(byte)));
  lines.push(...splitter.end());
  assert.deepEqual(lines.map(({ text }) => text), ["grün", "two", "no time", "rest"]);
  assert.ok((lines[0]?.time ?? "") < (lines[1]?.time ?? ""));
  assert.equal(lines[2]?.time, "");
});

test("a line without an end takes little memory, and says that it is cut", () => {
  const splitter = new LineSplitter();
  for (let i = 0; i < 100; i += 1) splitter.push(bytes("x".repeat(10_000)));
  const [line] = splitter.push(bytes("\n"));
  assert.equal(line?.text.length, 16 * 1024 + " … (cut)".length);
});

test("what a terminal would act on is not shown, and what nobody sees is", () => {
  assert.equal(harmless("\x1b[31mred\x1b[0m \x1b]0;title\x07\x1b]52;c;eA==\x1b\\a\tb\x07\u202ec\r"), "red a\tb\\u{7}\\u{202e}c");
});

/** An API whose answers a test writes: each request is one of `asked`, and its body is `send`. */
function api(previous = false) {
  mock.timers.reset();
  mock.timers.enable({ apis: ["setTimeout", "Date"], now: Date.parse("2026-01-02T03:05:00Z") });
  const asked: URLSearchParams[] = [];
  const answers: (Refused | ReadableStreamDefaultController<Uint8Array>)[] = [];
  let refusal: Refused | undefined;
  const taken: string[] = [];
  const states: LogState[] = [];
  const follow = new LogFollow(
    async (query) => {
      asked.push(new URLSearchParams(query));
      if (refusal) return refusal;
      return new Response(new ReadableStream<Uint8Array>({ start: (controller) => void answers.push(controller) }));
    },
    previous,
    { lines: (lines) => void taken.push(...lines.map(({ text }) => text)), state: (state) => void states.push(state) },
  );
  const body = (): ReadableStreamDefaultController<Uint8Array> => answers.at(-1) as ReadableStreamDefaultController<Uint8Array>;
  const settle = (): Promise<void> => new Promise((done) => void setImmediate(done));
  return { follow, asked, taken, states, body, settle, refuse: (why: Refused | undefined) => void (refusal = why) };
}

test("after a loss it goes on from the last time, and no line comes twice", async () => {
  const { follow, asked, taken, states, body, settle } = api();
  await settle();
  assert.equal(asked[0]?.get("tailLines"), "500");
  body().enqueue(bytes(at(1, "a") + at(9, "b") + at(9, "b")));
  await settle();
  body().error(new Error("cut"));
  await settle();
  assert.equal(states.at(-1)?.name, "lost");
  mock.timers.tick(500);
  await settle();
  assert.deepEqual([asked[1]?.get("sinceTime"), asked[1]?.get("tailLines")], ["2026-01-02T03:04:07Z", null]);
  body().enqueue(bytes(at(9, "b") + at(9, "b") + at(9, "b, again") + at(10, "c")));
  await settle();
  assert.deepEqual(taken, ["a", "b", "b", "b, again", "c"]);
  follow.dispose();
});

test("a pause reads nothing, and misses nothing", async () => {
  const { follow, asked, taken, states, body, settle } = api();
  await settle();
  body().enqueue(bytes(at(1, "a")));
  await settle();
  follow.pause();
  assert.equal(states.at(-1)?.name, "paused");
  follow.resume();
  await settle();
  body().enqueue(bytes(at(1, "a") + at(2, "b")));
  await settle();
  assert.deepEqual([taken, asked.length], [["a", "b"], 2]);
  follow.dispose();
});

test("a refusal is the end, a gateway that fails is not", async () => {
  const { follow, states, settle, refuse, asked } = api();
  await settle();
  refuse({ status: 503, message: "no route" });
  follow.resume();
  await settle();
  assert.equal(states.at(-1)?.name, "lost");
  refuse({ status: 403, message: "no" });
  mock.timers.tick(10_000);
  await settle();
  assert.deepEqual(states.at(-1), { name: "refused", why: { status: 403, message: "no" } });
  mock.timers.tick(60_000);
  await settle();
  assert.equal(asked.length, 3);
});
