import assert from "node:assert/strict";
import { test } from "node:test";
import { containersOf } from "../src/lists/containers.ts";
import { age, arrange, parseRow, search, type Row } from "../src/lists/row.ts";

function row(name: string, namespace = "default", more: Partial<Row> = {}): Row {
  const made = parseRow("pods", [namespace, name, "1/1", "Running", 0, 100, "node-1", "deploy/x"]);
  assert.ok(made);
  return { ...made, ...more };
}

const names = (rows: readonly Row[]): string[] => rows.map((each) => `${each.namespace}/${each.name}`);

test("what is no row is none", () => {
  for (const value of [undefined, "x", [], ["default"], ["default", ""]]) assert.equal(parseRow("pods", value), undefined);
});

test("names that begin with what is typed come first, and workloads after pods", () => {
  const service = parseRow("services", ["default", "web", "", "ClusterIP", 0, 100, "", ""]);
  assert.ok(service);
  const rows = [row("a-web"), service, row("web-1"), row("other", "web")];
  assert.deepEqual(names(search(rows, "web", "")), ["default/web-1", "default/a-web", "web/other", "default/web"]);
  assert.deepEqual(names(search(rows, "", "")), ["default/a-web", "default/web-1", "web/other"]);
  assert.deepEqual(names(search(rows, " NODE-1  web", "web")), ["web/other"]);
});

test("without a chosen column the latest that were opened come first", () => {
  const rows = [row("a"), row("b"), row("c")];
  const opened = new Map([["pods/default/b", 1], ["pods/default/c", 2]]);
  assert.deepEqual(names(arrange(rows, undefined, opened)), ["default/c", "default/b", "default/a"]);
});

test("a column sorts by what it means", () => {
  const rows = [row("a", "default", { restarts: 9 }), row("b", "default", { restarts: 10 }), row("c")];
  const sorted = arrange(rows, { column: "restarts", descending: true }, new Map([["pods/default/c", 1]]));
  assert.deepEqual(names(sorted), ["default/b", "default/a", "default/c"]);
});

test("an age has one unit", () => {
  assert.deepEqual([-1, 59, 60, 7200, 86400 * 20, 86400 * 800].map(age), ["0s", "59s", "1m", "2h", "20d", "2y"]);
});

test("containers are told apart, the default one first", () => {
  const pod = {
    metadata: { annotations: { "kubectl.kubernetes.io/default-container": "main" } },
    spec: {
      containers: [{ name: "side" }, { name: "main" }],
      initContainers: [{ name: "setup" }, { name: "mesh", restartPolicy: "Always" }],
      ephemeralContainers: [{ name: "look" }],
    },
    status: { containerStatuses: [{ name: "side", state: { waiting: { reason: "CrashLoopBackOff" } }, restartCount: 2 }] },
  };
  const found = containersOf(pod);
  assert.deepEqual(found.map(({ name, role }) => `${name} ${role}`), ["main main", "side main", "setup init", "mesh sidecar", "look ephemeral"]);
  assert.deepEqual([found[0]?.isDefault, found[1]?.state], [true, "waiting: CrashLoopBackOff, restarted 2×"]);
  assert.deepEqual(containersOf(null), []);
});
