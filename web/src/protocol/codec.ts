/** Encodes and decodes binary WebSocket messages, whose first byte is the stream. */

import { parseControl } from "./control.ts";
import { Stream, type ClientMessage, type ServerMessage } from "./messages.ts";
import { parseStatus } from "./status.ts";
import { parseObject, toBytes } from "./utf8.ts";

export const SUBPROTOCOL = "v1.dap-gateway";
/** Bytes of stdin that one message from this page carries at most. */
export const CHUNK = 32 * 1024;

export function encode(message: ClientMessage): Uint8Array<ArrayBuffer> {
  switch (message.type) {
    case "stdin":
      return frame(Stream.stdin, message.data);
    case "resize": {
      const { columns, rows } = message.size;
      return frame(Stream.resize, toBytes(`{"Width":${columns},"Height":${rows}}\n`));
    }
    case "close":
      return frame(Stream.close, Uint8Array.of(message.stream));
    case "control":
      return frame(Stream.control, toBytes(JSON.stringify(message.control)));
  }
}

/** Returns the message in `payload`; an empty, unknown or malformed payload becomes `ignored`, without an error. */
export function decode(payload: Uint8Array): ServerMessage {
  const stream = payload[0];
  const data = payload.subarray(1);
  switch (stream) {
    case undefined:
      return { type: "ignored", why: "empty" };
    case Stream.stdout:
    case Stream.stderr:
      return { type: "output", stream, data };
    case Stream.status: {
      const body = parseObject(data);
      const status = body && parseStatus(body);
      return status ? { type: "status", status } : { type: "ignored", why: "stream" };
    }
    case Stream.control: {
      const body = parseObject(data);
      const control = body && parseControl(body);
      return control ? { type: "control", control } : { type: "ignored", why: "control" };
    }
    default:
      return { type: "ignored", why: "stream" };
  }
}

function frame(stream: number, data: Uint8Array): Uint8Array<ArrayBuffer> {
  const payload = new Uint8Array(data.length + 1);
  payload[0] = stream;
  payload.set(data, 1);
  return payload;
}
