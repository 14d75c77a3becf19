import assert from "node:assert/strict";
import { test } from "node:test";
import { grow, moveBorder, moveDivider, neighbour, onlyPanes, panesOf, parseLayout, place, splitPane, type Direction, type Layout } from "../src/panes/layout.ts";

/** a | b over c */
const THREE = splitPane(splitPane("a", "a", "b", "right"), "b", "c", "below");

/** a | b over (c | d) */
const FOUR = splitPane(THREE, "c", "d", "right");

test("a split halves the place of its pane alone", () => {
  const { panes, dividers } = place(THREE);
  assert.deepEqual(panes.get("a"), { left: 0, top: 0, width: 0.5, height: 1 });
  assert.deepEqual(panes.get("c"), { left: 0.5, top: 0.5, width: 0.5, height: 0.5 });
  assert.deepEqual(dividers.map(({ id }) => id), ["", "2"]);
});

test("the keyboard moves to the pane that is seen there", () => {
  assert.equal(neighbour(THREE, "c", "left"), "a");
  assert.equal(neighbour(THREE, "c", "up"), "b");
  assert.equal(neighbour(THREE, "a", "left"), undefined);
  assert.equal(neighbour(moveDivider(THREE, "2", 0.3), "a", "right"), "c"); // the longer edge
});

test("a divider stops before a part is gone", () => {
  assert.equal(place(moveDivider(THREE, "", -3)).panes.get("a")?.width, 0.1);
  assert.equal(place(grow(THREE, "b", 0.2)).panes.get("b")?.height, 0.7);
  assert.equal(place(grow(THREE, "a", 9)).panes.get("a")?.width, 0.9);
});

test("every border of a pane moves in a direction, outer ones too", () => {
  const moved = (pane: string, direction: Direction): string => {
    const before = place(FOUR).dividers;
    const after = place(moveBorder(FOUR, pane, direction, 0.1)).dividers;
    return before.map(({ id, split }, at) => `${id}:${Math.round(((after[at]?.split.share ?? 0) - split.share) * 10)}`).filter((each) => !each.endsWith(":0")).join();
  };
  assert.equal(moved("b", "left"), ":-1"); // the outer one, which is left of it
  assert.equal(moved("b", "down"), "2:1");
  assert.equal(moved("c", "right"), "22:1");
  assert.equal(moved("c", "left"), ":-1");
  assert.equal(moved("d", "left"), "22:-1");
  assert.equal(moved("d", "right"), "22:1"); // there is none on that side
  assert.equal(moved("d", "down"), "2:1");
  assert.equal(moved("a", "right"), ":1");
  assert.equal(moved("a", "up"), "");
});

test("what a closed pane had goes to the other part", () => {
  assert.deepEqual(onlyPanes(THREE, (pane) => pane !== "b"), { way: "right", share: 0.5, first: "a", second: "c" });
  assert.equal(onlyPanes(THREE, (pane) => pane === "c"), "c");
  assert.equal(onlyPanes(THREE, () => false), undefined);
});

test("what was stored is read, and anything else is not", () => {
  assert.deepEqual(parseLayout(JSON.parse(JSON.stringify(THREE))), THREE);
  assert.deepEqual(panesOf(THREE), ["a", "b", "c"]);
  let deep: Layout = "a";
  for (let level = 0; level < 20; level++) deep = { way: "right", share: 0.5, first: "a", second: deep };
  for (const bad of [null, 7, {}, { way: "up", share: 0.5, first: "a", second: "b" }, { way: "right", share: 2, first: "a", second: "b" }, deep]) {
    assert.equal(parseLayout(bad), undefined);
  }
});
