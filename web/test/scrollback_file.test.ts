import assert from "node:assert/strict";
import { test } from "node:test";
import { Terminal } from "@xterm/headless";
import { fileName, pageOf, textOf } from "../src/scrollback_file.ts";

const TARGET = { cluster: "east", namespace: "shop", pod: "deploy/api", container: undefined };

test("a wrapped line is one line of the file, and what is above the screen is in it", async () => {
  const terminal = new Terminal({ cols: 10, rows: 2, allowProposedApi: true });
  const line = "0123456789abc  x";
  await new Promise<void>((drawn) => terminal.write(`one\r\n${line}\r\n\r\nthree\r\n`, drawn));
  assert.equal(textOf(terminal), `one\n${line}\n\nthree\n`);
});

test("the file is named by target and time", () => {
  assert.equal(fileName(TARGET, new Date(2026, 0, 2, 3, 4, 5), "txt"), "shop_deploy-api_2026-01-02_030405.txt");
});

test("nothing runs in a saved page", () => {
  const page = pageOf("<html><body>x</body></html>", { ...TARGET, pod: "<b>" });
  assert.match(page, /default-src 'none'/);
  assert.match(page, /<title>east \/ shop \/ &lt;b>/);
});
