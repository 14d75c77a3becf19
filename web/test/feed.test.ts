import assert from "node:assert/strict";
import { test } from "node:test";
import { Feed } from "../src/lists/feed.ts";
import { toBytes } from "../src/protocol/utf8.ts";
import { FakeSocket } from "./support/socket.ts";

function feed() {
  const sockets: FakeSocket[] = [];
  let unopened = 0;
  const made = new Feed(() => {
    const socket = new FakeSocket();
    sockets.push(socket);
    return socket;
  }, () => (unopened += 1));
  const said = (at: number): unknown[] => (sockets[at]?.sent ?? []).map((data) => JSON.parse(new TextDecoder().decode(data)));
  const tell = (at: number, message: unknown): void => sockets[at]?.deliver(toBytes(JSON.stringify(message)));
  return { made, sockets, said, tell, unopened: () => unopened };
}

const ROW = ["default", "web-0", "1/1", "Running", 0, 1, "n", ""];
const OTHER = ["default", "web-1", "1/1", "Running", 0, 1, "n", ""];

test("rows that are gone while nobody was connected leave the list once it is known anew", (context) => {
  context.mock.timers.enable({ apis: ["setTimeout", "setInterval"] });
  const { made, sockets, said, tell, unopened } = feed();
  const list = made.open("default", "pods", "", () => {});
  sockets[0]?.open();
  assert.deepEqual(said(0).at(-1), { open: 1, cluster: "default", kind: "pods", namespace: "" });
  tell(0, { list: 1, rows: [ROW, OTHER], state: { name: "live", have: 2, now: 5 } });
  sockets[0]?.lose();
  assert.deepEqual([list.state.name, list.rows.size, unopened()], ["away", 2, 0]);
  context.mock.timers.tick(300);
  sockets[1]?.open();
  tell(1, { list: 1, rows: [OTHER], state: { name: "loading" } });
  assert.equal(list.rows.size, 2);
  tell(1, { list: 1, state: { name: "live" } });
  assert.deepEqual([...list.rows.keys()], ["pods/default/web-1"]);
  made.dispose();
});

test("what the cluster does not show any more is forgotten, and what is gone leaves", () => {
  const { made, sockets, tell } = feed();
  const list = made.open("default", "pods", "", () => {});
  sockets[0]?.open();
  tell(0, { list: 1, rows: [ROW, OTHER], state: { name: "live" } });
  tell(0, { list: 1, gone: [["default", "web-0"]] });
  assert.equal(list.rows.size, 1);
  tell(0, { list: 1, state: { name: "forbidden", code: "forbidden", message: "no" } });
  assert.deepEqual([list.rows.size, list.state.message], [0, "no"]);
  made.dispose();
});

test("a connection that never opened is told, and tried again", (context) => {
  context.mock.timers.enable({ apis: ["setTimeout", "setInterval"] });
  const { made, sockets, unopened } = feed();
  made.open("default", "pods", "", () => {});
  sockets[0]?.lose();
  assert.equal(unopened(), 1);
  context.mock.timers.tick(300);
  assert.equal(sockets.length, 2);
  made.dispose();
});
