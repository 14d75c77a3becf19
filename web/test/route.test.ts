import assert from "node:assert/strict";
import { test } from "node:test";
import { formFragment, fragmentOf, listFragment, parseFragment, parsePasted } from "../src/route.ts";
import { execPath } from "../src/protocol/target.ts";
import { describeTarget, shellWords } from "../src/words.ts";

const target = { cluster: "default", namespace: "default", pod: "web-0", container: undefined };

test("a path names a target", () => {
  assert.deepEqual(parseFragment("/default/default/web-0"), { type: "exec", target, argv: [] });
  assert.deepEqual(parseFragment("/default/default/web-0/"), { type: "exec", target, argv: [] });
  const full = { cluster: "east", namespace: "shop", pod: "a.b-1", container: "main" };
  assert.deepEqual(parseFragment("/east/shop/a.b-1/main"), { type: "exec", target: full, argv: [] });
  assert.deepEqual(parseFragment(fragmentOf(full).slice(1)), { type: "exec", target: full, argv: [] });
  const workload = { cluster: "default", namespace: "shop", pod: "deploy/api", container: undefined };
  assert.equal(fragmentOf(workload), "#/default/shop/deploy%2Fapi");
  assert.deepEqual(parseFragment("/default/shop/deploy%2Fapi"), { type: "exec", target: workload, argv: [] });
});

test("a pod may be named as kubectl prints it", () => {
  for (const pod of ["deployment.apps/api", "statefulset.v1.apps/web", "Pod/web-0", "pods/web-0"]) {
    const named = { ...target, pod };
    assert.deepEqual(parseFragment(fragmentOf(named).slice(1)), { type: "exec", target: named, argv: [] });
  }
});

test("a namespace may be left to the cluster", () => {
  const open = { ...target, namespace: "" };
  assert.deepEqual(parseFragment("/default//web-0"), { type: "exec", target: open, argv: [] });
  assert.equal(fragmentOf(open), "#/default//web-0");
  assert.deepEqual(parseFragment(`ticket=abc&path=${encodeURIComponent("/default//web-0")}`), {
    type: "ticket", ticket: "abc", path: "/default//web-0",
  });
  assert.equal(describeTarget(open), "default / (default namespace) / web-0");
});

test("a command is decoded exactly", () => {
  const argv = ["sh", "-c", "a b & c=d + ü '\"$x", ""];
  const query = argv.map((word) => `command=${encodeURIComponent(word)}`).join("&");
  assert.deepEqual(parseFragment(`/default/default/web-0?${query}`), { type: "exec", target, argv });
});

test("a ticket may carry a path", () => {
  assert.deepEqual(parseFragment("ticket=abc"), { type: "ticket", ticket: "abc", path: "" });
  const path = "/default/default/web-0?command=ls&command=-l";
  const link = `ticket=abc&path=${encodeURIComponent(path)}`;
  assert.deepEqual(parseFragment(link), { type: "ticket", ticket: "abc", path });
});

test("nothing is the list as it was, and one or two names are the list there", () => {
  const find = (cluster?: string, namespace?: string) => ({ type: "find", cluster, namespace });
  for (const empty of ["", "/"]) assert.deepEqual(parseFragment(empty), find());
  assert.deepEqual(parseFragment("/east"), find("east"));
  assert.deepEqual(parseFragment(listFragment("east", "shop").slice(1)), find("east", "shop"));
});

test("the form takes what a link fills in", () => {
  assert.deepEqual(parseFragment("/?"), { type: "name", given: {} });
  const given = { cluster: "east", pod: "web 0" };
  assert.deepEqual(parseFragment(formFragment({ ...given, namespace: "" }).slice(1)), { type: "name", given });
});

test("a bad link says why", () => {
  const bad = {
    "/a/B": /path is not/,
    "/a/b/c/d/e": /path is not/,
    "/%zz/b/c": /path is not/,
    "/Default/b/c": /name of a cluster/,
    "/default/b_b/c": /name of a namespace/,
    "/default/b/..": /name of a pod/,
    "/default/b/%2Fd": /name of a pod/,
    "/default/b/c%2Fd%2Fe": /name of a pod/,
    "/default/b/..%2Fd": /name of a pod/,
    "/default/b/c/%00": /name of a container/,
    "/default/b/c?tty=false": /“tty”/,
    "/default/b/c?command=a%00b": /NUL/,
    "nonsense": /neither a ticket/,
  };
  for (const [fragment, why] of Object.entries(bad)) {
    const route = parseFragment(fragment);
    assert.equal(route.type, "bad", fragment);
    assert.match(route.why, why);
  }
});

test("what is pasted is a link or a ticket", () => {
  assert.deepEqual(parsePasted("  http://localhost:8080/#ticket=a-b_c \n"), { type: "ticket", ticket: "a-b_c", path: "" });
  assert.deepEqual(parsePasted("a-b_c"), { type: "ticket", ticket: "a-b_c", path: "" });
  assert.equal(parsePasted("what is this").type, "bad");
});

test("the exec path is Kubernetes' own", () => {
  const query = "exec?stdin=true&stdout=true&tty=true&resume=true";
  assert.equal(execPath(target, []), `/api/v1/namespaces/default/pods/web-0/${query}`);
  const other = { ...target, cluster: "east", container: "main" };
  const path = `/clusters/east/api/v1/namespaces/default/pods/web-0/${query}&container=main&command=a%26b&command=`;
  assert.equal(execPath(other, ["a&b", ""]), path);
  const workload = `/api/v1/namespaces/default/pods/deploy%2Fapi/${query}`;
  assert.equal(execPath({ ...target, pod: "deploy/api" }, []), workload);
});

test("a pod without a namespace has a path of the gateway's own", () => {
  const query = "exec?stdin=true&stdout=true&tty=true&resume=true";
  const open = { ...target, namespace: "", pod: "deploy/api", cluster: "east" };
  assert.equal(execPath(open, []), `/gateway/v1/clusters/east/pods/deploy%2Fapi/${query}`);
});

test("a command is shown so that nothing hides", () => {
  assert.equal(shellWords(["ls", "-l", "/tmp"]), "ls -l /tmp");
  assert.equal(shellWords(["sh", "-c", "it's\n\x1b[2J\u202e"]), "sh -c 'it'\\''s\\n\\x1b[2J\\u{202e}'");
  assert.equal(shellWords([""]), "''");
  const long = "x ".repeat(5000);
  assert.equal(shellWords([long]), `'${long}'`);
});
