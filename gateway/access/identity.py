"""Names who a user is."""

import getpass
import os
import pwd
from dataclasses import dataclass, field
from functools import cache

from gateway.access.scope import Scope
from gateway.protocol.target import Target


@dataclass(frozen=True)
class Identity:
    """Names who asks, and how that was proved: `token`, `uid`, `page`, `short` or `machine`. `credential`: the public
    name of a proof that can be taken away; empty for the gateway's own token and a uid, which last. `only`: the one
    target that the proof is good for; `scope`: where it is good, and for which verbs; None for any.
    """

    name: str
    proof: str
    groups: tuple[str, ...] = ()
    credential: str = field(default="", compare=False)
    only: Target | None = None
    scope: Scope | None = field(default=None, compare=False)


@cache
def owner() -> str:
    """Returns the name of the gateway's own user. The uid on the Unix socket, the token in the home and a
    link that the gateway made for itself all prove this one user, so that the sessions are the same person's
    from everywhere.
    """
    return user(os.getuid())


def name_this_user() -> None:
    """Gives the process the name of its user in LOGNAME where neither passwd nor the environment has one, as with the
    arbitrary uid of a container: libraries that ask for the name fail otherwise.
    """
    try:
        getpass.getuser()
    except (KeyError, OSError):  # OSError since Python 3.13
        os.environ["LOGNAME"] = owner()


@cache
def user(uid: int) -> str:
    """Returns the name of a user of this machine; "uid-NUMBER" where the machine has no name for the number.
    Looked up once: where users come from a directory, the event loop would wait for each look.
    """
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"uid-{uid}"
