"""Decides what somebody may do."""

from gateway.access.identity import Identity, owner, user
from gateway.protocol.target import Command, Target


def operates(identity: Identity) -> bool:
    """Returns True for who runs the gateway: its user and root at the Unix socket, and whoever has its own token."""
    return identity.proof == "token" or (identity.proof == "uid" and identity.name in {owner(), user(0)})


def allowed(
    identity: Identity,
    verb: str,
    target: Target | None,
    command: Command | None,
    whose: Identity | None = None,
) -> bool:
    """Returns True if somebody may do something: the one decision.

    For now everyone who is somebody may exec in every pod, and do everything with what is their own, but over
    the Unix socket only the gateway's own user and root are somebody; `target` and `command` are what a
    policy will look at. `whose`: the session's owner. Another user's session is for who runs the gateway: its
    user, and whoever has its own token; not for a page. So are links for others, and commands in the runner,
    where everybody's kubectl runs.
    """
    del target
    if operates(identity):
        return True
    if identity.proof == "uid":
        return False
    reserved = verb in ("run", "ticket") or (command is not None and command.verb == "run")
    return not reserved and (whose is None or whose.name == identity.name)
