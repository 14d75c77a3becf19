"""The namespace of a pod that is named without one, as kubectl in the runner has it."""

from gateway.backends.contract import READ
from gateway.backends.kube.raw import Run, output_of
from gateway.errors import HopFailed
from gateway.protocol.errors import BadRequest
from gateway.protocol.target import check_namespace

_SIZE = 64 << 10  # bytes of an answer
_DEFAULT = "default"  # where kubectl goes when its context names none
_NO_CONTEXT = "current-context must exist"  # of client-go's MinifyConfig (tools/clientcmd/api/helpers.go)


async def context_namespace(run: Run, context: str, seconds: float = READ) -> str:
    """The namespace of the kubeconfig context that `run`'s kubectl would use; "default" where that names none, or where
    there is no context: what else is missing then kubectl itself says. `context`: empty for the current one.

    kubectl is asked, since it alone knows all the ways to a kubeconfig; `seconds`: for its answer, the way there has
    limits of its own. Raises HopFailed. Cancelling is safe.
    """
    chosen = ("--context", context) if context else ()
    path = "jsonpath={.contexts[0].context.namespace}"
    try:
        answer = await output_of(
            run, ("kubectl", *chosen, "config", "view", "--minify", "-o", path), _SIZE, seconds
        )
    except TimeoutError:
        said = f"kubectl in the runner did not tell its context's namespace within {seconds:g} s"
        raise HopFailed("runner_timeout", said) from None
    except HopFailed as error:
        if _NO_CONTEXT in error.message:
            return _DEFAULT
        raise
    name = answer.decode("utf-8", "replace").strip() or _DEFAULT
    try:
        check_namespace(name)
    except BadRequest as error:
        raise HopFailed("kubectl_failed", f"kubectl's context in the runner: {error}") from None
    return name
