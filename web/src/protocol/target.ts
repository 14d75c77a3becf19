/** Checks the names of a pod, and builds the gateway's paths for its sessions. */

export interface Target {
  readonly cluster: string;
  /** Name of the namespace; empty means the cluster's default, which the gateway knows. */
  readonly namespace: string;
  readonly pod: string;
  readonly container: string | undefined;
}

/** Arguments of the command to run. An empty argv lets the gateway choose a shell. */
export type Argv = readonly string[];

// Kubernetes' own rules for names (IsDNS1123Label, IsDNS1123Subdomain). A pod may be named as deploy/NAME, too, and as
// `kubectl get -o name` prints it, deployment.apps/NAME: which kinds there are the gateway knows, and says.
const LABEL = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/;
const POD = /^([A-Za-z]+(\.[a-z0-9]+)*\/)?[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/;

/** Returns the first part whose name breaks Kubernetes' rules; undefined if every part keeps the rules. */
export function impossiblePart(target: Target): keyof Target | undefined {
  if (!isLabel(target.cluster)) return "cluster";
  if (target.namespace !== "" && !isLabel(target.namespace)) return "namespace";
  if (target.pod.length > 253 || !POD.test(target.pod)) return "pod";
  if (target.container !== undefined && !isLabel(target.container)) return "container";
  return undefined;
}

/** Returns what the paths of a cluster's API begin with. */
export function clusterPath(cluster: string): string {
  return cluster === "default" ? "" : `/clusters/${cluster}`;
}

/** Returns the path and query of the exec endpoint for a terminal that can be resumed. */
export function execPath(target: Target, argv: Argv): string {
  const query = ["stdin=true", "stdout=true", "tty=true", "resume=true"];
  if (target.container !== undefined) query.push(`container=${target.container}`);
  for (const argument of argv) query.push(`command=${encodeURIComponent(argument)}`);
  const pod = `pods/${encodeURIComponent(target.pod)}/exec?${query.join("&")}`;
  if (target.namespace === "") return `/gateway/v1/clusters/${target.cluster}/${pod}`;
  return `${clusterPath(target.cluster)}/api/v1/namespaces/${target.namespace}/${pod}`;
}

/** Returns the path of the endpoint that attaches to `session` again. */
export function attachPath(session: string): string {
  return `/gateway/v1/sessions/${encodeURIComponent(session)}/attach`;
}

/** Returns true if `name` is a valid label. Checks names from the gateway, too, before a person sees the names. */
export function isName(name: string | undefined): name is string {
  return name !== undefined && isLabel(name);
}

function isLabel(name: string): boolean {
  return name.length <= 63 && LABEL.test(name);
}
