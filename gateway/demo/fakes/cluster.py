"""Invents the cluster: what kubectl says about its pods, in kubectl 1.36's words."""


class RefusedError(Exception):
    """Raised with what kubectl would print on stderr before it exits with 1."""


class Pod:
    """Describes a pod. `containers` in the pod's own order; `bare` has no program at all in it, like a
    distroless image.
    """

    def __init__(
        self,
        namespace: str,
        name: str,
        containers: tuple[str, ...] = ("main",),
        *,
        app: str = "",
        bare: bool = False,
    ) -> None:
        self.namespace = namespace
        self.name = name
        self.containers = containers
        self.default = "main" if "main" in containers else containers[0]
        self.app = app or name.rpartition("-")[0]
        self.bare = bare


PODS = (
    Pod("default", "api-7c9d8f6b5d-4xkzq", ("api",), app="api"),
    Pod("default", "api-7c9d8f6b5d-m2v8p", ("api",), app="api"),
    Pod("default", "bash-0"),
    Pod("default", "distroless-0", bare=True),
    Pod("default", "web-0", ("side", "main")),
    Pod("team-a", "web-0"),
)
NAMESPACES = ("default", "team-a")
# what an object's short names are, and what the API calls it when it is missing
_KINDS = {
    "pods": ("pods", "pod", "po"),
    "deployments.apps": ("deployments.apps", "deployments", "deployment", "deploy", "deployment.apps"),
    "services": ("services", "service", "svc"),
    "statefulsets.apps": ("statefulsets.apps", "statefulsets", "statefulset", "sts"),
}
OWNERS = {
    "deployments.apps": ("api",),
    "services": ("api", "web"),
    "statefulsets.apps": ("bash", "distroless", "web"),
}


def not_found(kind: str, name: str) -> RefusedError:
    return RefusedError(f'Error from server (NotFound): {kind} "{name}" not found')


def pods_in(namespace: str | None) -> list[Pod]:
    """Returns all pods of one namespace, or of all (None)."""
    return [pod for pod in PODS if namespace in (None, pod.namespace)]


def find_pod(namespace: str, reference: str) -> Pod:
    """Returns the pod that POD, pod/POD, deploy/NAME or the like means. Raises RefusedError."""
    if namespace not in NAMESPACES:
        raise not_found("namespaces", namespace)
    short, slash, name = reference.partition("/")
    kind = kind_of(short) if slash else "pods"
    name = name if slash else reference
    pods = pods_in(namespace)
    if kind != "pods":
        owner_named(kind, name)
    for pod in pods:
        if name == (pod.name if kind == "pods" else pod.app):
            return pod
    raise not_found(kind, name)


def pod_named(namespace: str, name: str) -> Pod:
    """Returns the pod as the API does, which does not check the namespace. Raises RefusedError."""
    for pod in pods_in(namespace):
        if pod.name == name:
            return pod
    raise not_found("pods", name)


def owner_named(kind: str, name: str) -> str:
    """Returns the `app` of a workload's pods. Raises RefusedError."""
    if name not in OWNERS[kind]:
        raise not_found(kind, name)
    return name


def kind_of(short: str) -> str:
    for kind, names in _KINDS.items():
        if short in names:
            return kind
    raise RefusedError(f'error: the server doesn\'t have a resource type "{short}"')


def find_container(pod: Pod, name: str) -> str:
    """Returns the container that `-c name` means, the default one for an empty name. Raises RefusedError."""
    if not name:
        return pod.default
    if name not in pod.containers:
        choice = ", ".join(pod.containers)
        raise RefusedError(f"error: container {name} is not valid for pod {pod.name} out of: {choice}")
    return name
