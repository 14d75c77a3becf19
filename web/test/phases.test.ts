import assert from "node:assert/strict";
import { mock, test } from "node:test";
import { Phases } from "../src/phases.ts";

/** Runs `story` with a clock that `pass` alone moves on. */
function timed(story: (phases: Phases, pass: (milliseconds: number) => void) => void): void {
  let now = 0;
  const clock = mock.method(performance, "now", () => now);
  story(new Phases(), (milliseconds) => void (now += milliseconds));
  clock.mock.restore();
}

test("a cold chain tells each hop and its time", () => {
  timed((phases, pass) => {
    phases.begin("gateway");
    pass(12);
    phases.begin("");
    pass(50);
    phases.begin("SSH"); // begun by now
    pass(950);
    assert.equal(phases.text, "gateway 12 ms, SSH … 1.0 s");
    phases.begin("Incus");
    pass(300);
    phases.end("cluster");
    phases.begin("shell");
    pass(20);
    phases.end();
    assert.equal(phases.text, "gateway 12 ms, SSH 1.0 s, Incus 300 ms, shell 20 ms");
  });
});

test("a warm chain, of which no hop is told, has looked the pod up", () => {
  timed((phases, pass) => {
    phases.begin("gateway");
    pass(5);
    phases.begin("");
    pass(30);
    phases.end("cluster");
    assert.equal(phases.text, "gateway 5 ms, cluster 30 ms");
  });
});
