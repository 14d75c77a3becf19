// JavaScript's @kubernetes/client-node: the table's actions. Its exec and attach speak v5 or v4, its port-forward v4.
import * as k8s from "@kubernetes/client-node";
import { createHash } from "node:crypto";
import { PassThrough, Readable, Writable } from "node:stream";
import { createInterface } from "node:readline";

const { CONFORMANCE_SPACE: SPACE, CONFORMANCE_MANY: MANY, CONFORMANCE_POD: POD, CONFORMANCE_CLIENT: NAME } = process.env;
const config = new k8s.KubeConfig();
config.loadFromDefault();
const core = config.makeApiClient(k8s.CoreV1Api);
const apps = config.makeApiClient(k8s.AppsV1Api);
const { JsonPatch, MergePatch, StrategicMergePatch, ServerSideApply } = k8s.PatchStrategy;
const as = (kind) => k8s.setHeaderOptions("Content-Type", kind);
const digest = (lines) => createHash("sha256").update(lines.join("\n")).digest("hex");
const configMap = (name, data) => ({
  apiVersion: "v1", kind: "ConfigMap", metadata: { name, labels: { by: name } }, data,
});
const script = (code) => ["sh", "-c", `echo out; echo err >&2; exit ${code}`];
const here = { namespace: SPACE };

async function refused(call) {
  try {
    await call;
  } catch (error) {
    const said = typeof error.body === "string" ? JSON.parse(error.body) : error.body;
    return { status: error.code ?? error.statusCode, reason: said?.reason, message: said?.message };
  }
  throw new Error("not refused");
}

class Text extends Writable {
  text = "";
  _write(chunk, _, done) {
    this.text += chunk;
    this.emit("more");
    done();
  }
  async until(mark) {
    while (!this.text.includes(mark)) await new Promise((go) => this.once("more", go));
  }
}

async function get() {
  const pod = await core.readNamespacedPod({ name: "bash-0", namespace: "default" });
  const version = await config.makeApiClient(k8s.VersionApi).getCode();
  return { name: pod.metadata.name, uid: pod.metadata.uid, spec: pod.spec, version };
}

const missing = () => refused(core.readNamespacedPod({ name: "nope", namespace: "default" }));

async function list() {
  const names = (items) => items.map((one) => `${one.metadata.name} ${one.metadata.resourceVersion}`);
  const whole = names((await core.listNamespacedConfigMap({ namespace: MANY })).items);
  const paged = [];
  let pages = 0, _continue;
  do {
    const page = await core.listNamespacedConfigMap({ namespace: MANY, limit: 500, _continue });
    paged.push(...names(page.items));
    _continue = page.metadata._continue;
    pages += 1;
  } while (_continue);
  return { count: whole.length, pages, whole: digest(whole), paged: digest(paged) };
}

async function watch() {
  const name = `${NAME}-watch`;
  await core.createNamespacedConfigMap({ ...here, body: configMap(name, { a: "1" }) });
  const events = [];
  let stop;
  const ended = new Promise((go) => (stop = go));
  const asked = await new k8s.Watch(config).watch(
    `/api/v1/namespaces/${SPACE}/configmaps`, { labelSelector: `by=${name}` },
    (kind, found) => {
      events.push([kind, found.data]);
      if (events.length === 1) {
        core.patchNamespacedConfigMap({ name, ...here, body: { data: { a: "2" } } }, as(MergePatch));
      } else if (events.length === 2) {
        core.deleteNamespacedConfigMap({ name, ...here });
      } else {
        stop();
      }
    }, stop,
  );
  await ended;
  asked.abort();
  return { events };
}

async function apply() {
  const name = `${NAME}-apply`;
  const applied = (fieldManager, value, more) => core.patchNamespacedConfigMap(
    { name, ...here, body: configMap(name, { a: value }), fieldManager, ...more }, as(ServerSideApply),
  );
  const first = (await applied("one", "1")).data;
  const conflict = await refused(applied("two", "2"));
  const last = await applied("two", "2", { force: true });
  return { first, conflict, last: last.data, managers: last.metadata.managedFields.map((one) => one.manager) };
}

async function patch() {
  const name = `${NAME}-patch`;
  const created = await core.createNamespacedConfigMap({ ...here, body: configMap(name, { a: "1" }) });
  const patched = async (kind, body) =>
    (await core.patchNamespacedConfigMap({ name, ...here, body }, as(kind))).data;
  return {
    strategic: await patched(StrategicMergePatch, { data: { b: "2" } }),
    merge: await patched(MergePatch, { data: { c: "3", a: null } }),
    json: await patched(JsonPatch, [{ op: "add", path: "/data/d", value: "4" }]),
    refused: await refused(patched(JsonPatch, [{ op: "test", path: "/data/d", value: "5" }])),
    stale: await refused(core.replaceNamespacedConfigMap({ name, ...here, body: created })),
  };
}

async function remove() {
  const name = `${NAME}-delete`;
  await core.createNamespacedConfigMap({ ...here, body: configMap(name, { a: "1" }) });
  await core.deleteNamespacedConfigMap({ name, ...here });
  return { again: await refused(core.deleteNamespacedConfigMap({ name, ...here })) };
}

async function scale() {
  const to = (replicas) =>
    apps.patchNamespacedDeploymentScale({ name: "d", ...here, body: { spec: { replicas } } }, as(MergePatch));
  const asked = (await to(2)).spec.replicas;
  const found = (await apps.readNamespacedDeployment({ name: "d", ...here })).spec.replicas;
  await to(1);
  return { asked, found };
}

async function rollout() {
  const body = { spec: { template: { metadata: { annotations: { by: NAME } } } } };
  const asked = (await apps.patchNamespacedDeployment({ name: "r", ...here, body }, as(MergePatch))).metadata.generation;
  let found;
  const done = new Promise((go) => (found = go));
  const watching = await new k8s.Watch(config).watch(
    `/apis/apps/v1/namespaces/${SPACE}/deployments`, { fieldSelector: "metadata.name=r" },
    (_, { status }) => {
      const counts = [status.replicas, status.updatedReplicas, status.availableReplicas];
      if (status.observedGeneration >= asked && counts.every((one) => one === 1)) found({ counts });
    }, found,
  );
  const outcome = await done;
  watching.abort();
  return outcome;
}

async function logs() {
  const read = (more) => core.readNamespacedPodLog({ name: POD, ...here, ...more });
  return {
    text: await read({}), refused: await refused(read({ previous: true })), none: await refused(read({ container: "none" })),
  };
}

async function attach() {
  const name = `${NAME}-attach`;
  const command = ["sh", "-c", "echo begun; while read line; do echo got $line; done; echo over"];
  const container = {
    name: "main", image: "docker.io/lab/busybox:1", imagePullPolicy: "Never", stdin: true, stdinOnce: true, command,
  };
  const spec = { restartPolicy: "Never", terminationGracePeriodSeconds: 0, containers: [container] };
  await core.createNamespacedPod({ ...here, body: { apiVersion: "v1", kind: "Pod", metadata: { name }, spec } });
  while ((await core.readNamespacedPod({ name, ...here })).status.phase !== "Running") {
    await new Promise((go) => setTimeout(go, 100));
  }
  const log = new Text(), output = new Text(), input = new PassThrough();
  const over = new Promise((go) => log.on("finish", go));
  await new k8s.Log(config).log(SPACE, name, "main", log, { follow: true });
  const socket = await new k8s.Attach(config).attach(SPACE, name, "main", output, null, input, false);
  input.write("one\n");
  await output.until("\n");
  socket.close();
  await Promise.race([over, log.until("over\n")]);
  return { attached: output.text.trim(), followed: log.text };
}

// Each becomes a message, and the API server takes none of 64 MiB
function* pieces(bytes) {
  for (let at = 0; at < bytes.length; at += 1 << 16) yield bytes.subarray(at, at + (1 << 16));
}

async function run(command, given, { stdout = true, stderr = true, tty = false, pod = POD } = {}) {
  const out = new Text(), err = new Text();
  const input = given === undefined ? null : tty ? new PassThrough() : Readable.from(pieces(Buffer.from(given)));
  if (tty && input) input.write(given);
  const status = await new Promise((go, fail) => {
    new k8s.Exec(config)
      .exec(SPACE, pod, "main", command, stdout ? out : null, stderr ? err : null, input, tty, go)
      .catch(fail);
  });
  const cause = status.details?.causes?.find((one) => one.reason === "ExitCode");
  return [out.text, err.text, status.status === "Success" ? 0 : Number(cause?.message)];
}

async function execute() {
  const input = ["sh", "-c", "head -n1; echo out; echo err >&2; exit 3"];
  const terminal = ["sh", "-c", "read line; test -t 0 && test -t 1 && echo terminal; exit 3"];
  const streams = {
    "stdout": await run(script(3), undefined, { stderr: false }),
    "stderr": await run(script(3), undefined, { stdout: false }),
    "stdout+stderr": await run(script(3)),
    "stdin+stdout": await run(input, "given\n", { stderr: false }),
    "stdin+stderr": await run(input, "given\n", { stdout: false }),
    "stdin+stdout+stderr": await run(input, "given\n"),
    "terminal": await run(terminal, "given\n", { tty: true, stderr: false }),
  };
  const codes = {};
  await Promise.all([0, 1, 3, 126, 127, 137, 255].map(async (code) => (codes[code] = (await run(script(code)))[2])));
  let none;
  try {
    none = await run(["true"], undefined, { pod: "nope" });
  } catch (error) {
    none = error.message ?? String(error);
  }
  return { streams, codes, killed: await run(["sh", "-c", "kill -9 $$"]), none };
}

async function bulk() {
  const size = Number(process.env.CONFORMANCE_MIB ?? 1) << 20;
  const there = await run(["sh", "-c", `head -c ${size} | md5sum`], "0123456789abcdef".repeat(size / 16));
  const [out, , code] = await run(["sh", "-c", `yes | head -c ${size}`]);
  return { there, back: [out.length, digest(out.split("\n")), code] };
}

async function portForward() {
  const fetch = async () => {
    const output = new Text(), input = new PassThrough();
    const socket = await new k8s.PortForward(config).portForward(SPACE, POD, [8080], output, null, input);
    input.write("GET /f HTTP/1.0\r\n\r\n");
    await output.until("served");
    socket.close();
    const words = output.text.split(/\s+/).filter(Boolean);
    return [words[1], words.at(-1)];
  };
  const answers = await Promise.all(Array.from({ length: 20 }, fetch));
  const errors = new Text();
  const closed = await new k8s.PortForward(config).portForward(
    SPACE, POD, [1], new Text(), errors, new PassThrough(),
  );
  await errors.until("refused");
  closed.close();
  return { answers, closed: errors.text.replace(/^[^e]*/, "") };
}

async function top() {
  const metrics = { group: "metrics.k8s.io", version: "v1beta1", plural: "pods" };
  try {
    await config.makeApiClient(k8s.CustomObjectsApi).listClusterCustomObject(metrics);
  } catch (error) {
    return { status: error.code, body: error.body };
  }
  throw new Error("there are metrics");
}

const actions = {
  get, missing, list, watch, apply, patch, delete: remove, scale, rollout, logs, attach, exec: execute, bulk,
  "port-forward": portForward, top,
};
for await (const line of createInterface({ input: process.stdin })) {
  let outcome;
  try {
    outcome = await actions[line]();
  } catch (error) {
    outcome = { failed: String(error.stack ?? error.message ?? error) };
  }
  process.stdout.write(`${JSON.stringify(outcome)}\n`);
}
process.exit(0);
