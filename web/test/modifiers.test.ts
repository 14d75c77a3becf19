import assert from "node:assert/strict";
import { test } from "node:test";
import { Modifiers } from "../src/modifiers.ts";

test("a modifier is for the next key alone", () => {
  const cases = [
    ["ctrl", "c", "\x03"], ["ctrl", "C", "\x03"], ["ctrl", "[", "\x1b"], ["ctrl", " ", "\0"], ["ctrl", "?", "\x7f"], ["ctrl", "1", "1"],
    ["alt", "b", "\x1bb"], ["alt", "é", "\x1bé"], ["ctrl", "\x1b[C", "\x1b[1;5C"], ["alt", "\x1bOA", "\x1b[1;3A"], ["ctrl", "a pasted word", "a pasted word"],
  ] as const;
  let changes = 0;
  const modifiers = new Modifiers(() => (changes += 1));
  for (const [modifier, typed, sent] of cases) {
    modifiers.toggle(modifier);
    assert.equal(modifiers.apply(typed), sent);
    assert.equal(modifiers.apply(typed), typed);
  }
  assert.equal(changes, 2 * cases.length);
});

test("both at once, and a second touch takes a modifier back", () => {
  const modifiers = new Modifiers(() => undefined);
  modifiers.toggle("ctrl");
  modifiers.toggle("alt");
  assert.equal(modifiers.apply("\x1b[D"), "\x1b[1;7D");
  modifiers.toggle("ctrl");
  modifiers.toggle("ctrl");
  assert.equal(modifiers.apply("x"), "x");
});
