/** An upload that is interrupted: by a hop, by the gateway, for good. */

import assert from "node:assert/strict";
import { test } from "node:test";
import type { Answer } from "../src/access.ts";
import type { Progress } from "../src/transfers.ts";
import { upload, type Way } from "../src/upload.ts";

const done: Progress = { state: "done", path: "/tmp/f", done: 9, total: 9, sha256: "ab", verified: true, grew: false, archive: false, message: "" };
const ok: Answer<Progress> = { type: "ok", value: done };
const lost: Answer<never> = { type: "unreachable" };
const refused: Answer<never> = { type: "refused", status: 503, message: "the connection to the management host was lost" };
const silent = "the gateway does not answer";
type Resumed = Awaited<ReturnType<Way["resume"]>>;
const at = (offset: number | undefined, hop = ""): Resumed => ({ type: "ok", value: { offset, hop, done: undefined } });

async function run(sends: Answer<Progress>[], resumes: Resumed[], stop = new AbortController()) {
  const log: unknown[] = [];
  let now = 0;
  const answer = await upload({
    send: (offset) => (log.push(offset), Promise.resolve(sends.shift() ?? ok)),
    resume: () => Promise.resolve(resumes.length > 1 ? (resumes.shift() ?? lost) : (resumes[0] ?? lost)),
    pause: (milliseconds) => ((now += milliseconds), Promise.resolve()),
    now: () => now,
  }, (why) => log.push(why), stop.signal);
  return { answer, log, now };
}

test("what is missing is sent once the hop is back, as often as it takes", async () => {
  const { answer, log } = await run([refused, lost], [at(undefined, "ssh"), at(4), lost, at(8)]);
  assert.deepEqual([answer, log], [ok, [0, refused.message, "hop ssh", 4, silent, silent, 8]]);
});

test("an upload whose end was not heard is done", async () => {
  const whole: Resumed = { type: "ok", value: { offset: undefined, hop: "", done } };
  assert.deepEqual(await run([lost, refused], [at(undefined, "pod"), whole]), { answer: ok, log: [0, silent, "hop pod"], now: 500 });
});

test("what cannot be gone on with ends with the first reason, and so does a hop that stays lost", async () => {
  const gone: Resumed = { type: "refused", status: 409, message: "nothing to go on with" };
  assert.deepEqual(await run([refused], [gone]), { answer: refused, log: [0, refused.message], now: 0 });
  assert.deepEqual((await run([lost], [gone])).answer, gone);
  const { answer, now } = await run([refused], [at(undefined, "ssh")]);
  assert.deepEqual([answer, now > 300_000 && now < 310_000], [refused, true]);
  assert.deepEqual((await run(Array<Answer<Progress>>(999).fill(lost), [at(0)])).answer, lost);
  const stop = new AbortController();
  stop.abort();
  assert.deepEqual((await run([lost], [at(1)], stop)).log, [0, silent]);
});
