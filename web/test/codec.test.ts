import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { decode, encode } from "../src/protocol/codec.ts";
import { parseControl } from "../src/protocol/control.ts";
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
      return encode({ type: "control", body: vector.control });
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
