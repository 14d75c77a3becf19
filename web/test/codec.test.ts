import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { decode, encode } from "../src/protocol/codec.ts";
import { parseControl, type ClientControl } from "../src/protocol/control.ts";
import { parseStatus } from "../src/protocol/status.ts";
import type { JsonObject } from "../src/protocol/utf8.ts";

interface Vector {
  readonly name: string;
  readonly subprotocol: string;
  readonly direction: "client" | "server";
  readonly kind: "stdin" | "stdout" | "stderr" | "resize" | "close" | "status" | "control";
  readonly payload_hex: string;
  readonly data_hex: string;
  readonly columns: number;
  readonly rows: number;
  readonly stream: number;
  readonly status: JsonObject;
  readonly control: JsonObject;
}

const hex = (data: Uint8Array): string => Buffer.from(data).toString("hex");
const bytes = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, "hex"));
const file = new URL("../../tests/vectors/exec.json", import.meta.url);
const vectors = (JSON.parse(readFileSync(file, "utf8")) as Vector[]).filter(
  ({ subprotocol }) => subprotocol === "v1.dap-gateway" || subprotocol === "v5.channel.k8s.io",
);

function encoded(vector: Vector): Uint8Array {
  switch (vector.kind) {
    case "stdin":
      return encode({ type: "stdin", data: bytes(vector.data_hex) });
    case "resize":
      return encode({ type: "resize", size: { columns: vector.columns, rows: vector.rows } });
    case "close":
      return encode({ type: "close", stream: vector.stream });
    case "control":
      return encode({ type: "control", control: vector.control as unknown as ClientControl });
    default:
      throw new Error(`a client says no ${vector.kind}`);
  }
}

for (const vector of vectors.filter(({ direction }) => direction === "client")) {
  test(`encodes ${vector.name}`, () => {
    // other clients may leave out the newline behind a size
    const expected = vector.kind === "resize" ? vector.payload_hex.replace(/(0a)?$/, "0a") : vector.payload_hex;
    assert.equal(hex(encoded(vector)), expected);
  });
}

for (const vector of vectors.filter(({ direction }) => direction === "server")) {
  test(`decodes ${vector.name} (${vector.subprotocol})`, () => {
    const message = decode(bytes(vector.payload_hex));
    if (vector.kind === "stdout" || vector.kind === "stderr") {
      assert.equal(message.type, "output");
      assert.equal(hex(message.data), vector.data_hex);
      assert.equal(message.stream, vector.kind === "stdout" ? 1 : 2);
    } else if (vector.kind === "status") {
      assert.equal(message.type, "status");
      assert.deepEqual(message.status, parseStatus(vector.status));
    } else {
      const control = parseControl(vector.control);
      assert.deepEqual(message, control ? { type: "control", control } : { type: "ignored", why: "control" });
    }
  });
}

test("there are vectors of both directions", () => {
  assert.ok(vectors.length > 20);
});

test("an exit code is read from the Status's causes alone", () => {
  const failure = { metadata: {}, status: "Failure", reason: "NonZeroExitCode" };
  const causes = [{ reason: "Other", message: "9" }, { reason: "ExitCode", message: "137" }];
  assert.equal(parseStatus({ ...failure, details: { causes } })?.exitCode, 137);
  assert.equal(parseStatus({ ...failure, message: "exit code 3" })?.exitCode, undefined);
  assert.equal(parseStatus({ status: "Success" })?.exitCode, 0);
  assert.equal(parseStatus({ status: "Maybe" }), undefined);
});

test("whatever comes, decode returns", () => {
  const odd = ["", "00", "0141", "03", "037b", "03ff", "035b5d", "036e756c6c", "05", "057b7d", "0531", "07aa", "ff00", "ff"];
  for (const payload of odd) assert.ok(decode(bytes(payload)).type);
  for (let stream = 0; stream < 256; stream += 1) {
    for (let length = 0; length < 40; length += 1) {
      const noise = Uint8Array.from({ length }, () => Math.floor(Math.random() * 256));
      assert.ok(decode(Uint8Array.of(stream, ...noise)).type);
    }
  }
});

test("what a page has to act on is read from the control messages", () => {
  const control = (name: string): unknown => {
    const vector = vectors.find((each) => each.name.includes(name) && each.kind === "control");
    assert.ok(vector, name);
    const message = decode(bytes(vector.payload_hex));
    return message.type === "control" && message.control;
  };
  const resume = { secret: "c2VjcmV0", grace: 600, offset: 70_000, received: 12, window: 262_144, modes: "" };
  const hello = { type: "hello", session: "abcdefghij", namespace: "default", pod: "web-0", container: "main", window: 262_144, age: undefined, note: "" };
  assert.deepEqual({ ...Object(control("hello that can be resumed")), session: hello.session }, { ...hello, resume });
  assert.deepEqual(control("received: much"), { type: "received", offset: 2 ** 40 });
  assert.deepEqual(control("gap"), { type: "gap", bytes: 65_537 });
  assert.deepEqual(Object(control("hop lost"))["seconds"], 600);
  assert.equal(Object(control("hop is back"))["code"], "");
  assert.deepEqual(control("warning: idle"), { type: "warning", code: "idle", seconds: 60 });
  assert.deepEqual(control("pong"), { type: "pong" });
});

test("numbers that are none are no message", () => {
  for (const offset of [-1, "7", null, Number.NaN, 2 ** 60]) assert.equal(parseControl({ type: "received", offset }), undefined);
  const resume = { secret: "s", grace: 1, offset: 0, received: 0, window: 0 };
  const bare = { type: "hello", session: "s", namespace: undefined, pod: undefined, container: undefined, window: undefined, resume: undefined, age: undefined, note: "" };
  assert.deepEqual(parseControl({ type: "hello", session: "s", resume, window: 0 }), bare);
  assert.deepEqual(parseControl({ type: "hello", session: "s", window: "7" }), bare);
  assert.deepEqual(parseControl({ type: "hello", session: "s", note: "not ready" }), { ...bare, note: "not ready" });
  assert.deepEqual(parseControl({ type: "hello", session: "s", age: 90 }), { ...bare, age: 90 });
});
