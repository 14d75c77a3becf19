import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, test } from "node:test";
import * as tabStorage from "../src/tab_storage.ts";

/** As a browser's, with room for `quota` units. */
class Items {
  readonly #items = new Map<string, string>();
  quota = Infinity;

  get length(): number {
    return this.#items.size;
  }

  key(index: number): string | null {
    return [...this.#items.keys()][index] ?? null;
  }

  getItem(name: string): string | null {
    return this.#items.get(name) ?? null;
  }

  setItem(name: string, value: string): void {
    if (value.length > this.quota) throw new Error("QuotaExceededError");
    this.#items.set(name, value);
  }

  removeItem(name: string): void {
    this.#items.delete(name);
  }
}

let items = new Items();

const screen = { columns: 80, rows: 24, text: "x".repeat(100), open: "\x1b[3", offset: 7, alternate: false };

function record(left = 60_000): tabStorage.Record {
  const input = { received: 3, sent: Uint8Array.of(0, 255, 10), waiting: "größe" };
  return { kept: { name: "n", secret: "s", grace: 600, offset: 7, until: Date.now() + left, input }, screen, taken: false };
}

describe("what a tab keeps", () => {
  beforeEach(() => {
    items = new Items();
    Object.assign(globalThis, { sessionStorage: items });
  });
  afterEach(() => Object.assign(globalThis, { sessionStorage: undefined }));

  test("what is kept is found, byte for byte, under its own link alone", () => {
    const kept = record();
    tabStorage.keep("/one", kept);
    assert.deepEqual(tabStorage.find("/one"), kept);
    assert.equal(tabStorage.find("/two"), undefined);
    tabStorage.forget("/one");
    assert.equal(tabStorage.find("/one"), undefined);
  });

  test("what seems to be over is found, and goes after a day with the next that is kept", () => {
    tabStorage.keep("/old", record(-1));
    assert.ok(tabStorage.find("/old"));
    tabStorage.keep("/older", record(-25 * 3600 * 1000));
    tabStorage.keep("/new", record());
    assert.equal(tabStorage.find("/older"), undefined);
    assert.ok(tabStorage.find("/old"));
    assert.equal(items.length, 2);
  });

  test("where there is no room, the session is kept without its screen", () => {
    items.quota = 250;
    tabStorage.keep("/one", record());
    assert.equal(tabStorage.find("/one")?.screen, undefined);
    assert.equal(tabStorage.find("/one")?.kept.secret, "s");
  });

  test("what cannot be read is as good as nothing, and stands in no one's way", () => {
    tabStorage.keep("/one", record());
    const name = items.key(0) ?? "";
    for (const broken of ["", "{", "null", "[]", "{\"kept\":null}"]) {
      items.setItem(name, broken);
      assert.equal(tabStorage.find("/one"), undefined);
      items.setItem(name, broken);
      tabStorage.keep("/two", record());
      assert.ok(tabStorage.find("/two"));
    }
  });

  test("a browser that stores nothing is no error", () => {
    Object.defineProperty(globalThis, "sessionStorage", { configurable: true, get: () => { throw new Error("SecurityError"); } });
    tabStorage.keep("/one", record());
    assert.equal(tabStorage.find("/one"), undefined);
    Object.defineProperty(globalThis, "sessionStorage", { configurable: true, writable: true, value: undefined });
  });
});
