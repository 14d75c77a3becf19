/** A directory is packed as tar reads it, whatever its names. */

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { test } from "node:test";
import { archive } from "../src/archive.ts";
import { directory } from "../src/views/dropping.ts";

const NAME = `${"ü".repeat(60)}.txt`;
const LONG = "n".repeat(512); // fills its block

async function listed(file: Blob, ...words: string[]): Promise<string[]> {
  const input = new Uint8Array(await file.arrayBuffer());
  return execFileSync("tar", ["--quoting-style=literal", ...words], { input }).toString().split("\n").filter(Boolean);
}

test("tar finds each name, and in each file its bytes", async () => {
  const file = new File([new Uint8Array(1000).fill(120)], "a", { lastModified: 1_000_000_000_000 });
  const packed = new Blob(archive([{ path: "d" }, { path: "d/empty" }, { path: `d/${NAME}`, file }, { path: `d/${LONG}/b`, file: new File([], "b") }]));
  assert.deepEqual(await listed(packed, "-tf", "-"), ["d/", "d/empty/", `d/${NAME}`, `d/${LONG}/b`]);
  assert.equal((await listed(packed, "-xOf", "-", `d/${NAME}`))[0], "x".repeat(1000));
  assert.match((await listed(packed, "--utc", "-tvf", "-", `d/${NAME}`))[0] ?? "", /^-rw-r--r-- 0\/0 +1000 2001-09-09 01:46/);
});

type Tree = { readonly [name: string]: Tree | string };

/** A directory as a browser shows one that was dropped: in several answers, the last of them empty. */
function dropped(name: string, tree: Tree): FileSystemDirectoryEntry {
  const entries = Object.entries(tree).map(([each, content]) =>
    typeof content === "string" ? { name: each, isDirectory: false, file: (take: (file: File) => void) => take(new File([content], each)) } : dropped(each, content));
  const createReader = (): unknown => {
    const left = entries.map((entry) => [entry]);
    return { readEntries: (take: (some: unknown[]) => void) => take(left.shift() ?? []) };
  };
  return { name, isDirectory: true, createReader } as unknown as FileSystemDirectoryEntry;
}

test("all that is in a dropped directory is packed", async () => {
  const found = directory(dropped("d", { a: "1", sub: { b: "22", deep: {} } }));
  const packed = await found.file();
  assert.deepEqual([found.name, packed.name, await listed(packed, "-tf", "-")], ["d", "d", ["d/", "d/a", "d/sub/", "d/sub/b", "d/sub/deep/"]]);
});
