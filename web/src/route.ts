/** Parses what a link's fragment asks for. */

import { impossiblePart, isName, type Argv, type Target } from "./protocol/target.ts";

export type Route =
  | { readonly type: "ticket"; readonly ticket: string; readonly path: string }
  | { readonly type: "exec"; readonly target: Target; readonly argv: Argv }
  /** The list of pods: of a cluster, in one of its namespaces; where the link names none, as it was. */
  | { readonly type: "find"; readonly cluster: string | undefined; readonly namespace: string | undefined }
  /** The form for a name that is known, with what the link fills in. */
  | { readonly type: "name"; readonly given: Partial<Target> }
  | { readonly type: "bad"; readonly why: string };

/** Begins the fragment of the form, in which a person names a pod. */
const FORM = "/?";

/** Parses the fragment of a link, without the `#`. */
export function parseFragment(fragment: string): Route {
  if (fragment === "" || fragment === "/") return { type: "find", cluster: undefined, namespace: undefined };
  if (fragment.startsWith(FORM)) return { type: "name", given: given(fragment.slice(FORM.length)) };
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

/** Returns the fragment of the list of pods in a namespace of a cluster; without a namespace, in all. */
export function listFragment(cluster: string, namespace: string): string {
  return `#/${[cluster, ...(namespace ? [namespace] : [])].map(encodeURIComponent).join("/")}`;
}

/** Returns the fragment of the form with these fields filled in. */
export function formFragment(fields: Readonly<Record<string, string>>): string {
  return `#${FORM}${new URLSearchParams(Object.entries(fields).filter(([, value]) => value))}`;
}

/** Puts a fragment into the address bar alone, without an entry in the history and without an event. */
export function replaceFragment(fragment: string): void {
  history.replaceState(null, "", location.pathname + location.search + fragment);
}

function parsePath(fragment: string): Route {
  const question = fragment.indexOf("?");
  const path = question < 0 ? fragment : fragment.slice(0, question);
  const query = new URLSearchParams(question < 0 ? "" : fragment.slice(question + 1));
  const names = decodeParts(path.replace(/\/$/, "").slice(1).split("/"));
  const [cluster, namespace, pod, container] = names ?? [];
  if (pod === undefined && question < 0 && cluster && isName(cluster) && (!namespace || isName(namespace))) {
    return { type: "find", cluster, namespace };
  }
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

function given(query: string): Partial<Target> {
  const fields = new URLSearchParams(query);
  const known = ["cluster", "namespace", "pod"] as const;
  return Object.fromEntries(known.flatMap((name) => (fields.get(name) ? [[name, fields.get(name)]] : [])));
}

function decodeParts(parts: string[]): string[] | undefined {
  try {
    return parts.map(decodeURIComponent);
  } catch {
    return undefined;
  }
}
