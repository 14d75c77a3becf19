import assert from "node:assert/strict";
import { test } from "node:test";
import { Terminal } from "@xterm/headless";
import { OutputQueue } from "../src/output.ts";
import { describeEnding } from "../src/endings.ts";
import { Session } from "../src/session.ts";
import { bind, say } from "../src/terminal.ts";
import { visible } from "../src/words.ts";
import { FakeSocket } from "./support/socket.ts";

function screen(): Terminal {
  return new Terminal({ cols: 60, rows: 10, scrollback: 100_000, allowProposedApi: true });
}

function lines(terminal: Terminal): string[] {
  const buffer = terminal.buffer.active;
  const all = Array.from({ length: buffer.length }, (_, row) => buffer.getLine(row)?.translateToString(true) ?? "");
  return all.join("\n").trimEnd().split("\n");
}

function told(terminal: Terminal, text: string[]): Promise<void> {
  return new Promise((resolve) => say(terminal, text, resolve));
}

function written(terminal: Terminal, text: string): Promise<void> {
  return new Promise((resolve) => terminal.write(text, resolve));
}

test("keys, bytes of mouse reports and sizes reach the session until the binding is undone", () => {
  const terminal = screen();
  const socket = new FakeSocket();
  const session = Session.exec(() => socket, "/", () => {});
  const binding = bind(terminal, session);
  socket.open();
  socket.hello();
  terminal.input("größe\r");
  terminal.resize(100, 40);
  binding.dispose();
  terminal.input("late");
  terminal.resize(10, 10);
  assert.equal(socket.bytes(0).toString(), "größe\r");
  assert.deepEqual(socket.texts(4), ['{"Width":60,"Height":10}\n', '{"Width":100,"Height":40}\n']);
  socket.lose(); // a session that lives keeps its timers
});

test("a terminal answers what a program asks, as input of the session", async () => {
  const terminal = screen();
  const socket = new FakeSocket();
  bind(terminal, Session.exec(() => socket, "/", () => {}));
  socket.open();
  socket.hello();
  await written(terminal, "\x1b[6n");
  assert.equal(socket.bytes(0).toString(), "\x1b[1;1R");
  socket.lose();
});

test("the end stands on a line of its own", async () => {
  const terminal = screen();
  await written(terminal, "$ exit");
  await told(terminal, ["The shell ended with exit code 0.", "Press Enter for a new shell."]);
  assert.deepEqual(lines(terminal), ["$ exit", "The shell ended with exit code 0.", "Press Enter for a new shell."]);
});

test("what a program left behind is tidied up", async () => {
  const terminal = screen();
  await written(terminal, "before\r\n\x1b[?1049h\x1b[?1003h\x1b[?2004h\x1b[?1h\x1b[3;5r\x1b[31min vi\x1b[?25l");
  await told(terminal, ["lost"]);
  assert.equal(terminal.buffer.active.type, "normal");
  assert.deepEqual(lines(terminal), ["before", "lost"]);
  const { bracketedPasteMode, mouseTrackingMode, applicationCursorKeysMode } = terminal.modes;
  assert.deepEqual([bracketedPasteMode, mouseTrackingMode, applicationCursorKeysMode], [false, "none", false]);
});

test("a sequence that was cut does not swallow the end", async () => {
  for (const cut of ["\x1b", "\x1b[38;2;1", "\x1b]0;title", "\x1bP1$r", "\xe2"]) {
    const terminal = screen();
    await written(terminal, `x${cut}`);
    await told(terminal, ["the end"]);
    assert.equal(lines(terminal).at(-1), "the end", JSON.stringify(cut));
  }
});

test("a hostile message is shown, not obeyed", async () => {
  const terminal = screen();
  const message = "\x1b[2J\x1b]0;owned\x07\u202e\r\n\u009b2Jend";
  const ending = { type: "failed", begun: false, hop: "pod\x1b[2J", code: "c\x07", message } as const;
  const { sentence } = describeEnding(ending, "shell");
  assert.doesNotMatch(sentence, /[^\x20-\x7e]/);
  await written(terminal, "kept\r\n");
  await told(terminal, [sentence]);
  assert.equal(lines(terminal)[0], "kept");
  assert.match(lines(terminal).join(""), /\\x1b\[2J.*\\u\{202e\}\\x0d\\n\\x9b2Jend/);
});

test("visible escapes what is not seen, leaves what is, and shortens", () => {
  assert.equal(visible("größe 終 😀"), "größe 終 😀");
  assert.equal(visible("a\u200bb\ud800c"), "a\\u{200b}b\\u{d800}c");
  assert.equal(visible("x".repeat(5000)).length, 2001);
});

test("output reaches the screen whole and in order", async () => {
  const terminal = screen();
  const output = new OutputQueue(terminal);
  const numbers = Array.from({ length: 200 }, (_, number) => `${number}`);
  for (const number of numbers) output.push(Buffer.from(`${number}\r\n`.padStart(1000)));
  await new Promise<void>((resolve) => output.whenDrawn(resolve));
  assert.deepEqual(lines(terminal).map((line) => line.trim()).filter(Boolean), numbers);
});

test("the modes of output that was drawn elsewhere are set before the rest, and count as none of it", async () => {
  const terminal = screen();
  let offset = 0;
  const output = new OutputQueue(terminal, 100, { drawn: (value) => (offset = value) });
  output.modes("\x1b[?1049h\x1b[?1h\x1b[?2004h");
  output.push(Buffer.from("rest"));
  await new Promise<void>((resolve) => output.whenDrawn(resolve));
  assert.equal(offset, 104);
  assert.equal(terminal.buffer.active.type, "alternate");
  assert.ok(terminal.modes.applicationCursorKeysMode && terminal.modes.bracketedPasteMode);
});

test("output beyond what is kept goes, oldest first, and says so", async () => {
  const terminal = screen();
  const output = new OutputQueue(terminal, 0, {}, { kept: 128 * 1024 });
  for (let number = 0; number < 40; number += 1) output.push(Buffer.from("x".repeat(100 * 1024)));
  output.push(Buffer.from("\r\nlast"));
  await new Promise<void>((resolve) => output.whenDrawn(resolve));
  const shown = lines(terminal);
  assert.equal(shown.at(-1), "last");
  assert.ok(shown.some((line) => /^ [\d.]+ MB of output are left out here ?$/.test(line)));
});

/** A terminal under a flood of output, of which most waits. */
function flooded(bytes: number) {
  const terminal = screen();
  let offset = 0;
  const output = new OutputQueue(terminal, 0, { drawn: (value) => (offset = value) });
  const more = (count: number): void => {
    for (let rest = count; rest > 0; rest -= 30_000) output.push(Buffer.from("y\r\n".repeat(Math.min(rest, 30_000) / 3)));
  };
  more(bytes);
  const shown = async (): Promise<string[]> => {
    await new Promise<void>((resolve) => output.whenDrawn(resolve));
    return lines(terminal);
  };
  terminal.onData((text) => output.typed(text));
  const press = (key: string): void => terminal.input(key); // after which xterm.js draws once without delay
  return { output, more, shown, press, offset: () => offset };
}

const LEFT_OUT = /MB of output are left out here/;
const count = (lines: string[], of: RegExp): number => lines.filter((line) => of.test(line)).length;

for (const [key, name] of [["\x03", "Ctrl-C"], ["\x1a", "Ctrl-Z"], ["\x1c", "Ctrl-\\"]] as const) {
  test(`${name} leaves of a flood what is being drawn, one line about the rest, and its end`, () => cutShort(key));
}

async function cutShort(key: string): Promise<void> {
  const { output, more, shown, offset, press } = flooded(3_000_000);
  press(key);
  for (let times = 0; times < 20; times += 1) {
    await new Promise((resolve) => setTimeout(resolve, 5));
    more(90_000);
  }
  output.push(Buffer.from("^C\r\n$ "));
  const screen = await shown();
  assert.deepEqual(screen.slice(-2).map((line) => line.trim()), ["^C", "$"]);
  assert.equal(count(screen, LEFT_OUT), 1);
  assert.ok(count(screen, /^y$/) < 40_000);
  assert.equal(offset(), 3_000_000 + 20 * 90_000 + 6);
}

/** The number that `value` keeps for 300 ms, awaited for at most 10 s. */
async function still(value: () => number): Promise<number> {
  let last = value();
  for (let same = 0, times = 0; same < 15 && times < 500; times += 1) {
    await waited(20);
    same = value() === last ? same + 1 : 0;
    last = value();
  }
  return last;
}

const waited = (milliseconds: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, milliseconds));

test("Ctrl-S holds a flood until the next key, and drops nothing", async () => {
  const { output, shown, offset, press } = flooded(150_000);
  press("\x13");
  const held = await still(offset); // what had gone to the terminal before the key is drawn first
  assert.ok(held < 75_000);
  output.typed("x");
  const screen = await shown();
  assert.equal(count(screen, LEFT_OUT), 0);
  assert.equal(offset(), 150_000);
});

test("Ctrl-S holds what comes within a second, too, if it is a flood", async () => {
  const { output, more, shown, offset } = flooded(0);
  output.typed("\x13");
  more(30_000);
  for (let times = 0; offset() < 30_000 && times < 80; times += 1) await waited(10);
  assert.equal(offset(), 30_000);
  more(150_000);
  await waited(200);
  assert.ok(offset() < 100_000);
  await shown(); // the end: no key has to come
  assert.equal(offset(), 180_000);
});

test("nothing is dropped where the keys may be bytes of a transfer", async () => {
  const terminal = screen();
  const output = new OutputQueue(terminal, 0, {}, { drops: false });
  output.push(Buffer.from("y\r\n".repeat(33_000)));
  output.typed("\x03");
  await new Promise<void>((resolve) => output.whenDrawn(resolve));
  assert.equal(count(lines(terminal), /^y$/), 33_000);
});

test("what the gateway leaves out of the flood is on the same line", async () => {
  const { output, more, shown, offset } = flooded(3_000_000);
  output.typed("\x03");
  output.gap(5_000_000);
  more(30_000);
  output.gap(2_000_000);
  output.push(Buffer.from("^C\r\n$ "));
  const screen = await shown();
  assert.equal(count(screen, LEFT_OUT), 1);
  assert.equal(screen.at(-1)?.trim(), "$");
  assert.equal(offset(), 10_030_006);
});

test("a flood that comes in small pieces leaves one line, too", async () => {
  const { output, more, shown } = flooded(300_000);
  output.typed("\x03");
  for (let times = 0; times < 10; times += 1) {
    await new Promise((resolve) => setTimeout(resolve, 20));
    more(12_000);
  }
  assert.equal(count(await shown(), LEFT_OUT), 1);
});

test("a page that goes while a flood is quieted draws nothing more", async () => {
  const { output, offset } = flooded(3_000_000);
  output.typed("\x03");
  output.dispose();
  await new Promise((resolve) => setTimeout(resolve, 150));
  assert.ok(offset() < 200_000);
});

test("what comes after another key is wanted again", async () => {
  const { output, more, shown } = flooded(0);
  output.typed("\x03");
  output.typed("c");
  more(120_000);
  assert.equal(count(await shown(), /^y$/), 40_000);
});

test("a little that waits is drawn, Ctrl-C or not", async () => {
  const { output, shown } = flooded(72_000);
  output.typed("\x03");
  const screen = await shown();
  assert.equal(count(screen, /^y$/), 24_000);
});
