"""Decides what somebody may do."""

from gateway.access.identity import Identity, owner, user
from gateway.protocol.request_info import RequestInfo
from gateway.protocol.target import Command, Target


def operates(identity: Identity) -> bool:
    """Returns True for who runs the gateway: its user and root at the Unix socket, and whoever has its own token."""
    return identity.proof == "token" or (identity.proof == "uid" and identity.name in {owner(), user(0)})


def needs_container(identity: Identity) -> bool:
    """Returns True if what somebody may do depends on where. Then the container that will be entered is found before
    `allowed` is asked about a command, though it costs a read of the pod where the request names none. Whoever may
    enter every container is spared that read, and `allowed` sees the container where the pod is read anyway.
    """
    return not operates(identity) and identity.only is not None


def allowed(
    identity: Identity,
    verb: str,
    target: Target | None,
    command: Command | None,
    whose: Identity | None = None,
    *,
    info: RequestInfo | None = None,
) -> bool:
    """Returns True if somebody may do something: the one decision.

    For now everyone who is somebody may exec in every pod, but with a link for one target there alone; and do
    everything with what is their own. Over the Unix socket only the gateway's own user and root are somebody.
    `whose`: the owner of a session or a credential. Another user's is for who runs the gateway: its user, and
    whoever has its own token; not for a page. So are links for others, and commands in the runner, where
    everybody's kubectl runs. A link for one target sees what was opened with such a link, and nothing else of
    its owner's. A machine's token is good within its scope. `info`: what a request asks of the cluster's API, whose
    verbs are Kubernetes' own; exec, attach, portforward and proxy are verbs of their own. A link for one target
    reads its pod and what leads there, alone.

    `target`: of a command with the container that will be entered, where `needs_container` asks for it; without
    a container only where the cluster could not be asked, and then a link for one container opens nothing.
    """
    if operates(identity):
        return True
    if (
        identity.proof == "uid"
        or verb in ("run", "ticket")
        or (command is not None and command.verb == "run")
    ):
        return False
    if whose is not None:
        return whose.name == identity.name and identity.only in (None, whose.only)
    if identity.scope and not identity.scope.allows(verb, target, info):
        return False
    return identity.only is None or _is_for(identity.only, verb, target, info)


def _is_for(only: Target, verb: str, target: Target | None, info: RequestInfo | None) -> bool:
    """Returns True if what is asked of `target` is within `only`. To read a pod takes no container, and what kinds
    of objects a cluster has is about no pod.
    """
    if target is None or (info and verb not in ("get", "exec", "attach")):
        return False
    if verb == "get" and target == Target(only.cluster):
        return True
    same = (target.cluster, target.namespace, target.pod) == (only.cluster, only.namespace, only.pod)
    return same and (verb == "get" or only.container in (None, target.container))
