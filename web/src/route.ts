/** Parses what a link's fragment asks for. */

import { impossiblePart, type Argv, type Target } from "./protocol/target.ts";

export type Route =
  | { readonly type: "ticket"; readonly ticket: string; readonly path: string }
  | { readonly type: "exec"; readonly target: Target; readonly argv: Argv }
  | { readonly type: "choose" }
  | { readonly type: "bad"; readonly why: string };

/** Parses the fragment of a link, without the `#`. */
export function parseFragment(fragment: string): Route {
  if (fragment === "" || fragment === "/") return { type: "choose" };
  if (fragment.startsWith("/")) return parsePath(fragment);
  const fields = new URLSearchParams(fragment);
  const ticket = fields.get("ticket");
  if (!ticket) return { type: "bad", why: "It has neither a ticket nor the path of a pod." };
  return { type: "ticket", ticket, path: fields.get("path") ?? "" };
}

/** Parses a link, or a ticket alone, that a person has pasted. */
export function parsePasted(text: string): Route {
  const trimmed = text.trim();
  const hash = trimmed.indexOf("#");
  if (hash >= 0) return parseFragment(trimmed.slice(hash + 1));
  if (/^[\w.~-]+$/.test(trimmed)) return { type: "ticket", ticket: trimmed, path: "" };
  return { type: "bad", why: "It is neither a link nor a ticket." };
}

export function fragmentOf({ cluster, namespace, pod, container }: Target): string {
  return `#/${[cluster, namespace, pod, ...(container ? [container] : [])].map(encodeURIComponent).join("/")}`;
}

function parsePath(fragment: string): Route {
  const question = fragment.indexOf("?");
  const path = question < 0 ? fragment : fragment.slice(0, question);
  const query = new URLSearchParams(question < 0 ? "" : fragment.slice(question + 1));
  const names = decodeParts(path.replace(/\/$/, "").slice(1).split("/"));
  const [cluster, namespace, pod, container] = names ?? [];
  if (!names || names.length > 4 || cluster === undefined || namespace === undefined || pod === undefined) {
    return { type: "bad", why: "Its path is not /cluster/namespace/pod/container." };
  }
  const target = { cluster, namespace, pod, container };
  const part = impossiblePart(target);
  if (part) return { type: "bad", why: `“${target[part] ?? ""}” cannot be the name of a ${part}.` };
  const unknown = [...query.keys()].find((key) => key !== "command");
  if (unknown !== undefined) return { type: "bad", why: `It asks for “${unknown}”, which this page does not know.` };
  const argv = query.getAll("command");
  if (argv.some((argument) => argument.includes("\0"))) {
    return { type: "bad", why: "Its command contains a NUL byte, which no program can be given." };
  }
  return { type: "exec", target, argv };
}

function decodeParts(parts: string[]): string[] | undefined {
  try {
    return parts.map(decodeURIComponent);
  } catch {
    return undefined;
  }
}
