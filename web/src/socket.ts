/** Adapts the browser's WebSocket to the session's Socket of four methods. */

import { at } from "./base.ts";
import { SUBPROTOCOL } from "./protocol/codec.ts";
import { toBytes } from "./protocol/utf8.ts";
import type { Socket, SocketListener } from "./connection.ts";

const BEARER = "base64url.bearer.authorization.k8s.io.";

/** Opens a WebSocket to the gateway's `path`. Sends the token as a subprotocol, as Kubernetes allows, because a browser cannot set
 * headers on a WebSocket.
 */
export function connect(path: string, token: string, subprotocol: string = SUBPROTOCOL): Socket {
  const url = new URL(at(path), location.origin);
  url.protocol = location.protocol === "https:" ? "wss:" : "ws:";
  const socket = new WebSocket(url, [subprotocol, BEARER + base64url(toBytes(token))]);
  socket.binaryType = "arraybuffer";
  return {
    send: (payload) => {
      if (socket.readyState === WebSocket.OPEN) socket.send(payload);
    },
    waiting: () => socket.bufferedAmount,
    close: (code) => socket.close(code),
    listen: (listener) => attach(socket, listener),
  };
}

function attach(socket: WebSocket, listener: SocketListener): void {
  socket.addEventListener("open", () => listener.opened());
  socket.addEventListener("close", () => listener.closed());
  socket.addEventListener("message", (event: MessageEvent<ArrayBuffer | string>) => {
    const data = typeof event.data === "string" ? toBytes(event.data) : new Uint8Array(event.data);
    listener.received(data);
  });
}

function base64url(data: Uint8Array): string {
  const text = btoa(String.fromCharCode(...data));
  return text.replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}
