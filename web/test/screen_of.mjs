// Writes what a terminal shows after the output on stdin, a line for each of its rows: `node screen_of.mjs COLUMNS ROWS <OUTPUT`.
// The terminal is xterm.js without a browser, which gets the output in one piece.
import { buffer } from "node:stream/consumers";
import headless from "@xterm/headless";

const [cols, rows] = process.argv.slice(2).map(Number);
const terminal = new headless.Terminal({ cols, rows, allowProposedApi: true });
const output = await buffer(process.stdin);
await new Promise((resolve) => terminal.write(output, resolve));
const { active } = terminal.buffer;
for (let row = 0; row < rows; row += 1) console.log(active.getLine(active.viewportY + row)?.translateToString(true) ?? "");
