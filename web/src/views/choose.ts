/** Shows a small form in which a person names a pod. */

import * as access from "../access.ts";
import { alertLine, card, make, textField } from "../elements.ts";
import { fragmentOf } from "../route.ts";
import { impossiblePart, isName, type Target } from "../protocol/target.ts";
import { visible } from "../words.ts";

/** Placeholder of the empty namespace field, until the cluster's default namespace is known. */
const DEFAULT = "the cluster’s default";

export interface Choose {
  /** Why the link that led here does not work; empty if the person came without such a link. */
  readonly problem: string;
  /** What is known of the pod already. */
  readonly given: Partial<Target>;
  go(fragment: string): void;
  unauthorized(message: string): void;
}

export function chooseView({ problem, given, go, unauthorized }: Choose): HTMLElement {
  const fields = {
    cluster: textField("cluster", "Cluster", { required: "", value: given.cluster ?? "default", list: "clusters" }),
    namespace: textField("namespace", "Namespace", { placeholder: DEFAULT, ...(given.namespace && { value: given.namespace }) }),
    pod: textField("pod", "Pod", { required: "", ...(given.pod && { value: given.pod }) }),
    container: textField("container", "Container", { placeholder: "the pod’s default" }),
  };
  const wrong = alertLine(problem);
  const known = make("datalist", { id: "clusters" });
  const rows = Object.values(fields).map(({ row }) => row);
  const form = make("form", {}, ...rows, known, make("p", { class: "next" }, make("button", {}, "Open a shell"), make("a", { href: "#/" }, "Find it in the list")));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const value = (name: keyof typeof fields): string => fields[name].input.value.trim();
    const target = {
      cluster: value("cluster"),
      namespace: value("namespace"),
      pod: value("pod"),
      container: value("container") || undefined,
    };
    const part = impossiblePart(target);
    if (!part) return go(fragmentOf(target));
    wrong.textContent = `“${visible(target[part] ?? "")}” cannot be the name of a ${part}.`;
    fields[part].input.select();
  });
  void offerClusters(known, unauthorized);
  const { cluster, namespace } = fields;
  cluster.input.addEventListener("change", () => void showDefault(cluster.input, namespace.input));
  void showDefault(cluster.input, namespace.input);
  return card("Open a shell in a pod", wrong, form);
}

/** Shows the default namespace of the cluster in the empty field; without an answer the field works as well. */
async function showDefault(cluster: HTMLInputElement, namespace: HTMLInputElement): Promise<void> {
  const name = cluster.value.trim();
  namespace.placeholder = DEFAULT;
  if (!isName(name)) return;
  const answer = await access.defaultNamespace(name);
  if (cluster.value.trim() === name && answer.type === "ok" && isName(answer.value)) {
    namespace.placeholder = `${answer.value} (${DEFAULT})`;
  }
}

/** Offers the names of the gateway's clusters; without an answer the form works as well. A 401 calls `unauthorized`. */
async function offerClusters(list: HTMLElement, unauthorized: (message: string) => void): Promise<void> {
  const answer = await access.clusters();
  if (!list.isConnected) return;
  if (answer.type === "ok") list.replaceChildren(...answer.value.map((name) => make("option", { value: name })));
  else if (answer.type === "refused" && answer.status === 401) unauthorized(answer.message);
}
