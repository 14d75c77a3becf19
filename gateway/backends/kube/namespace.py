"""Asks kubectl in the runner for its context: the cluster, and the namespace of a pod that is named without one."""

from gateway.backends.contract import READ
from gateway.backends.kube.raw import Run, output_of
from gateway.errors import HopFailed
from gateway.protocol.errors import BadRequest
from gateway.protocol.target import check_namespace

_SIZE = 64 << 10  # bytes of kubectl's answer, at most
_DEFAULT = "default"  # kubectl's namespace where its context names none
_NO_CONTEXT = (
    "current-context must exist"  # error of client-go's MinifyConfig (tools/clientcmd/api/helpers.go)
)


async def context_cluster(run: Run, begin: tuple[str, ...], seconds: float = READ) -> str:
    """Runs kubectl with `run` and returns the name of the kubeconfig context that `context_namespace` means, and its
    server; empty where kubectl does not tell.
    """
    path = 'jsonpath={.contexts[0].name}{" "}{.clusters[0].cluster.server}'
    try:
        answer = await output_of(run, (*begin, "config", "view", "--minify", "-o", path), _SIZE, seconds)
    except (TimeoutError, HopFailed):
        return ""
    return answer.decode("utf-8", "replace").strip()


async def context_namespace(run: Run, begin: tuple[str, ...], seconds: float = READ) -> str:
    """Runs kubectl with `run` and returns the namespace of the kubeconfig context that `begin` names, or of the
    current context (`Cluster.kubectl_argv`); "default" if that context names no namespace or does not exist. `seconds` limits
    kubectl's answer, not the time to start kubectl. Raises HopFailed, also for a name that is no valid namespace.
    Cancelling is safe.
    """
    # Only kubectl knows all the ways to a kubeconfig. A missing context is kubectl's to report, at the next command.
    path = "jsonpath={.contexts[0].context.namespace}"
    try:
        answer = await output_of(run, (*begin, "config", "view", "--minify", "-o", path), _SIZE, seconds)
    except TimeoutError:
        message = f"kubectl in the runner did not tell its context's namespace within {seconds:g} s"
        raise HopFailed("runner_timeout", message) from None
    except HopFailed as error:
        if _NO_CONTEXT in error.message:
            return _DEFAULT
        raise
    name = answer.decode("utf-8", "replace").strip() or _DEFAULT
    try:
        check_namespace(name)
    except BadRequest as error:
        raise HopFailed(
            "kubectl_failed", f"kubectl's context in the runner names an invalid namespace: {error}"
        ) from None
    return name
