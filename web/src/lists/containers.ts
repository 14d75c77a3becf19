/** Reads from a pod which containers it has, and what each is. */

import { asObject, asText, type JsonObject } from "../protocol/utf8.ts";

export interface Container {
  readonly name: string;
  /** `sidecar`: an init container that stays; `ephemeral`: put into the pod to look around. */
  readonly role: "main" | "init" | "sidecar" | "ephemeral";
  readonly isDefault: boolean;
  /** As in "running", "waiting: CrashLoopBackOff". */
  readonly state: string;
  readonly mood: "good" | "busy" | "bad" | "none";
  readonly image: string;
}

const DEFAULT = "kubectl.kubernetes.io/default-container";

/** Returns the containers, the one first that a shell opens in where nobody names one. */
export function containersOf(pod: unknown): Container[] {
  const whole = asObject(pod) ?? {};
  const [metadata, spec, status] = ["metadata", "spec", "status"].map((name) => asObject(whole[name]) ?? {});
  const named = asText(asObject(metadata?.["annotations"])?.[DEFAULT]);
  const own = objects(spec?.["containers"]);
  const all: readonly (readonly [JsonObject, Container["role"], string])[] = [
    ...own.map((each) => [each, "main", "containerStatuses"] as const),
    ...objects(spec?.["initContainers"]).map((each) => [each, roleOf(each), "initContainerStatuses"] as const),
    ...objects(spec?.["ephemeralContainers"]).map((each) => [each, "ephemeral", "ephemeralContainerStatuses"] as const),
  ];
  const names = all.map(([each]) => asText(each["name"]));
  const first = names.includes(named) ? named : asText(own[0]?.["name"]);
  const found = all.map(([each, role, statuses]): Container => {
    const name = asText(each["name"]);
    const known = objects(status?.[statuses]).find((one) => one["name"] === name);
    return { name, role, isDefault: name === first, image: asText(each["image"]), ...stateOf(known) };
  });
  return found.sort((a, b) => Number(b.isDefault) - Number(a.isDefault));
}

function roleOf(container: JsonObject): "init" | "sidecar" {
  return container["restartPolicy"] === "Always" ? "sidecar" : "init";
}

function stateOf(status: JsonObject | undefined): Pick<Container, "state" | "mood"> {
  const state = asObject(status?.["state"]) ?? {};
  const [running, waiting, terminated] = ["running", "waiting", "terminated"].map((name) => asObject(state[name]));
  const restarts = Number(status?.["restartCount"] ?? 0);
  const again = restarts > 0 ? `, restarted ${restarts}×` : "";
  if (running) return { state: `running${status?.["ready"] === false ? ", not ready" : ""}${again}`, mood: status?.["ready"] === false ? "busy" : "good" };
  if (waiting) {
    const reason = asText(waiting["reason"]);
    return { state: `waiting${reason && `: ${reason}`}${again}`, mood: /err|back|fail/i.test(reason) ? "bad" : "busy" };
  }
  if (terminated) {
    const code = Number(terminated["exitCode"] ?? 0);
    return { state: code === 0 ? "finished" : `ended with ${code}`, mood: code === 0 ? "none" : "bad" };
  }
  return { state: "not started", mood: "none" };
}

function objects(value: unknown): JsonObject[] {
  const items: readonly unknown[] = Array.isArray(value) ? value : [];
  return items.map(asObject).filter((each) => each !== undefined);
}
