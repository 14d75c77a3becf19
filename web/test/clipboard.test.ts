import assert from "node:assert/strict";
import { test } from "node:test";
import { Terminal } from "@xterm/headless";
import { MOST_COPIED, parseCopy, takeCopies } from "../src/clipboard.ts";

test("text is taken, and a question is not", () => {
  assert.deepEqual(parseCopy(`c;${btoa("one\n")}`), { text: "one\n" });
  assert.deepEqual(parseCopy(";4oKs"), { text: "€" }); // tmux names no selection
  for (const nothing of ["c;?", "c;", "c", "", "c;=", "c;a", "x;YQ==", "c;YQ==;YQ==", "c;Y Q=="]) assert.equal(parseCopy(nothing), undefined, nothing);
});

test("too much is not taken, and nothing of it is decoded", () => {
  assert.deepEqual(parseCopy(`c;${btoa("x".repeat(MOST_COPIED))}`), { text: "x".repeat(MOST_COPIED) });
  assert.deepEqual(parseCopy(`c;${"A".repeat(400_000)}`), { units: 400_002 });
});

test("a sequence of 10 MB does nothing, and the terminal goes on", async () => {
  const terminal = new Terminal({ cols: 20, rows: 2, allowProposedApi: true });
  const heard: string[] = [];
  takeCopies(terminal as never, () => false, {
    copied: () => heard.push("copied"), offered: (text) => heard.push(text), refused: (units) => heard.push(`${units}`),
  });
  const write = (text: string): Promise<void> => new Promise((drawn) => terminal.write(text, drawn));
  await write("\x1b]52;c;");
  for (let sent = 0; sent < 10; sent++) await write("A".repeat(1_000_000));
  await write("\x07\x1b]52;c;YQ==\x07on");
  assert.deepEqual(heard, ["a"]);
  assert.equal(terminal.buffer.active.getLine(0)?.translateToString(true), "on");
});
