import assert from "node:assert/strict";
import { afterEach, mock, test } from "node:test";
import { Acknowledger } from "../src/acknowledge.ts";

const KIB = 1024;

afterEach(() => mock.timers.reset());

function watched(): { seen: Acknowledger; told: number[] } {
  mock.timers.reset();
  mock.timers.enable({ apis: ["setTimeout"] });
  const told: number[] = [];
  return { seen: new Acknowledger((offset) => told.push(offset)), told };
}

test("many small writes are one message", () => {
  const { seen, told } = watched();
  seen.start(0, 256 * KIB);
  for (let offset = 1; offset <= 1000; offset += 1) seen.drawn(offset);
  assert.deepEqual(told, []);
  mock.timers.tick(50);
  assert.deepEqual(told, [1000]);
  mock.timers.tick(10_000);
  assert.deepEqual(told, [1000]);
});

test("a flood is told in large steps, at least each quarter of the window", () => {
  for (const [window, step] of [[256 * KIB, 64 * KIB], [1024 * KIB, 64 * KIB], [64 * KIB, 16 * KIB]] as const) {
    const { seen, told } = watched();
    seen.start(0, window);
    for (let offset = 0; offset <= 1024 * KIB; offset += KIB) seen.drawn(offset);
    assert.deepEqual(told, Array.from({ length: (1024 * KIB) / step }, (_, index) => (index + 1) * step));
  }
});

test("between connections nothing is told; the next one hears what was drawn meanwhile", () => {
  const { seen, told } = watched();
  seen.start(0, 256 * KIB);
  seen.drawn(10);
  seen.stop();
  seen.drawn(100 * KIB);
  mock.timers.tick(1000);
  assert.deepEqual(told, []);
  seen.start(10, 256 * KIB);
  assert.deepEqual(told, [100 * KIB]);
});
