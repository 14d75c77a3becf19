/** Defines everything that can be sent on an exec connection, as gateway/protocol/messages.py does. */

import type { ClientControl, Control } from "./control.ts";
import type { Status } from "./status.ts";

/** Stream ids on the wire. Id 5 exists in `v1.dap-gateway` alone. */
export const Stream = {
  stdin: 0,
  stdout: 1,
  stderr: 2,
  status: 3,
  resize: 4,
  control: 5,
  close: 255,
} as const;

/** Size of a terminal in cells; columns and rows are 1 to 65535. */
export interface Size {
  readonly columns: number;
  readonly rows: number;
}

export type ClientMessage =
  | { readonly type: "stdin"; readonly data: Uint8Array }
  | { readonly type: "resize"; readonly size: Size }
  | { readonly type: "close"; readonly stream: number }
  | { readonly type: "control"; readonly control: ClientControl };

export type ServerMessage =
  | { readonly type: "output"; readonly stream: 1 | 2; readonly data: Uint8Array }
  | { readonly type: "status"; readonly status: Status }
  | { readonly type: "control"; readonly control: Control }
  | { readonly type: "ignored"; readonly why: "empty" | "stream" | "control" };
