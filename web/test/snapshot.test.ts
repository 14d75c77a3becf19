import assert from "node:assert/strict";
import { test } from "node:test";
import { SerializeAddon } from "@xterm/addon-serialize";
import { Terminal } from "@xterm/headless";
import { OutputQueue } from "../src/output.ts";
import { restore, take, Unserialized, type Snapshot } from "../src/snapshot.ts";
import { partialSequence } from "../src/partial_sequence.ts";

interface Copied {
  readonly terminal: Terminal;
  readonly output: OutputQueue;
  copy(): Snapshot | undefined;
}

function screen(offset = 0): Copied {
  const terminal = new Terminal({ cols: 60, rows: 10, scrollback: 2000, allowProposedApi: true });
  const serializer = new SerializeAddon();
  terminal.loadAddon(serializer);
  const rest = new Unserialized(terminal);
  const output = new OutputQueue(terminal, offset);
  return { terminal, output, copy: () => take(terminal, serializer, rest, output) };
}

async function shown({ output }: Copied, data: Uint8Array | string): Promise<void> {
  output.push(Buffer.from(data));
  await new Promise<void>((resolve) => output.whenDrawn(resolve));
}

/** A new page that goes on from a copy of the old one. */
async function reloaded(old: Copied): Promise<Copied> {
  const copy = old.copy();
  assert.ok(copy);
  const fresh = screen(copy.offset);
  await new Promise<void>((resolve) => restore(fresh.terminal, JSON.parse(JSON.stringify(copy)), resolve));
  return fresh;
}

/** All that can be seen of a terminal: text with its colours, cursor, modes. */
function look({ terminal, copy }: Copied): unknown {
  const buffer = terminal.buffer.active;
  const lines = Array.from({ length: buffer.length }, (_, row) => {
    const line = buffer.getLine(row);
    const cells = Array.from({ length: terminal.cols }, (_, column) => line?.getCell(column));
    return cells.map((cell) => `${cell?.getChars() || " "}${cell?.getFgColor()},${cell?.getBgColor()},${cell?.isBold()},${cell?.isInverse()}`).join("");
  });
  return { lines, cursor: [buffer.cursorX, buffer.cursorY], type: buffer.type, modes: terminal.modes, size: [terminal.cols, terminal.rows], text: copy()?.text };
}

const SHELL = Array.from({ length: 14 }, (_, line) => `\x1b[3${line % 8}mline ${line}\x1b[0m größe 終 😀\r\n`).join("") + "\x1b[1;32m$ \x1b[0mls -l";
const EDITOR = `$ vi\r\n\x1b[?1049h\x1b[?1h\x1b[?1002h\x1b[?1006h\x1b[?2004h\x1b[3;8r\x1b[2J\x1b[4;1H\x1b[7mtitle\x1b[0m\x1b[6;3Hbody\x1b[?25l`;

test("a copy is the same screen at every cut, also inside a sequence or a character", async () => {
  for (const text of [SHELL, EDITOR]) {
    const data = Buffer.from(text);
    const whole = screen();
    await shown(whole, data);
    const expected = look(whole);
    for (let cut = 1; cut < data.length; cut += text === SHELL ? 7 : 1) {
      const old = screen();
      await shown(old, data.subarray(0, cut));
      const fresh = await reloaded(old);
      assert.equal(fresh.output.offset, cut);
      await shown(fresh, data.subarray(cut));
      assert.deepEqual(look(fresh), expected, `cut at ${cut}`);
    }
  }
});

test("a copy has the last 1000 lines, and fewer where they are long", async () => {
  const old = screen();
  await shown(old, Array.from({ length: 2500 }, (_, line) => `${line}\r\n`).join(""));
  const fresh = await reloaded(old);
  assert.equal(fresh.terminal.buffer.active.length, 1010);
  assert.equal(fresh.terminal.buffer.active.getLine(1008)?.translateToString(true), "2499");
  const wide = screen();
  wide.terminal.resize(400, 10);
  const cells = Array.from({ length: 400 }, (_, cell) => `\x1b[38;2;1;2;${cell % 256}m${cell % 10}`).join("");
  await shown(wide, `${cells}\r\n`.repeat(250));
  const copy = wide.copy();
  assert.ok(copy && copy.text.length < 1024 * 1024);
  assert.match(copy.text, /38;2;1;2;/);
});

test("what a program resets is not set again", async () => {
  const old = screen();
  await shown(old, "\x1b[?1006h\x1b[?25l\x1b[2;5r\x1b[!p\x1b[?1006l");
  assert.doesNotMatch(old.copy()?.text ?? "?", /1006|25l|2;5r/);
});

test("the unfinished end of output", () => {
  const cases: Record<string, string> = {
    "": "", "text": "", "text\x1b": "\x1b", "a\x1b[": "\x1b[", "a\x1b[38;2;1": "\x1b[38;2;1", "a\x1b[31m": "", "a\x1b[31mb": "",
    "\x1b]0;title": "\x1b]0;title", "\x1b]0;title\x07": "", "\x1b]0;title\x1b": "\x1b]0;title\x1b", "\x1b]0;title\x1b\\": "",
    "\x1bP1$r": "\x1bP1$r", "\x1b(": "\x1b(", "\x1b(B": "", "\x1b[31\x18": "", "\x1b[3\x1b[4": "\x1b[4", "\x1bc": "", "\x1b[1m\x1b]8;;http://x": "\x1b]8;;http://x",
  };
  for (const [text, rest] of Object.entries(cases)) {
    assert.equal(Buffer.from(partialSequence(Buffer.from(text))).toString(), rest, JSON.stringify(text));
  }
  for (const [hex, rest] of [["41c3", "c3"], ["41c3b6", ""], ["e7b5", "e7b5"], ["e7b582", ""], ["f09f98", "f09f98"], ["f09f9880", ""], ["80", ""], ["418080", ""]]) {
    assert.equal(Buffer.from(partialSequence(Buffer.from(hex ?? "", "hex"))).toString("hex"), rest, hex);
  }
});

test("a gap is a line of its own, and counts as drawn", async () => {
  const offsets: number[] = [];
  const terminal = new Terminal({ cols: 60, rows: 10, allowProposedApi: true });
  const output = new OutputQueue(terminal, 100, { drawn: (offset) => offsets.push(offset) });
  output.push(Buffer.from("before \x1b[31"));
  output.gap(12_300_000);
  output.push(Buffer.from("mafter\r\n"));
  output.gap(500);
  output.push(Buffer.from("end"));
  await new Promise<void>((resolve) => output.whenDrawn(resolve));
  const lines = Array.from({ length: 5 }, (_, row) => terminal.buffer.active.getLine(row)?.translateToString(true));
  assert.deepEqual(lines, ["before ", " 12 MB of output are left out here ", "mafter", " 1 kB of output are left out here ", "end"]);
  const cell = terminal.buffer.active.getLine(1)?.getCell(3);
  assert.ok(cell?.isInverse() && cell.getFgColor() === 8);
  assert.equal(output.offset, 100 + 11 + 12_300_000 + 8 + 500 + 3);
  assert.deepEqual(offsets, [...offsets].sort((one, other) => one - other));
});
