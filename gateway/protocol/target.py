"""Parses what a user may name, and the command to run there. Parsed once, at the border; carried as types
inside.
"""

import hashlib
import json
import re
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import quote, unquote

from gateway.protocol.actor import Actor
from gateway.protocol.errors import BadRequest

# Kubernetes' name rules: apimachinery/pkg/util/validation/validation.go (IsDNS1123Label, IsDNS1123Subdomain)
_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
_SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
# Kinds whose pods kubectl finds by itself (polymorphichelpers: AttachablePodForObject), by their API group
_KINDS_OF = {
    "": ("po", "pod", "pods", "svc", "service", "services", "rc", "replicationcontroller", "replicationcontrollers"),
    "apps": (
        "deploy", "deployment", "deployments", "sts", "statefulset", "statefulsets", "rs", "replicaset", "replicasets",
        "ds", "daemonset", "daemonsets",
    ),
    "batch": ("job", "jobs"),
}  # fmt: skip
_GROUP_OF = {kind: group for group, kinds in _KINDS_OF.items() for kind in kinds}
KINDS = frozenset(_GROUP_OF)
_VERSION = re.compile(r"v[0-9]+[a-z0-9]*")
UNNAMED = "(default namespace)"  # in place of a namespace that is not known yet
Verb = Literal["exec", "attach", "run"]
Way = Literal["api", "kubectl", ""]  # how a command got into its pod; "": in no pod, or not known yet


@dataclass(frozen=True)
class TerminalSize:
    """Holds a terminal's size, columns first, as on the wire. Both are 1 to 65535: `resize.Size` in client-go
    is two uint16.
    """

    columns: int
    rows: int

    @classmethod
    def parse(cls, columns: object, rows: object) -> "TerminalSize | None":
        """Returns the size; None where a value is no whole number or out of range."""
        for value in (columns, rows):
            if not isinstance(value, int) or isinstance(value, bool) or not 0 < value < 65536:
                return None
        return cls(columns, rows)  # type: ignore[arg-type]  # checked above


@dataclass(frozen=True)
class Target:
    """Names a container in a pod, or, when `pod` is empty, the runner itself (`dap run`). An empty namespace
    of a pod is not named yet: the cluster's default, which the gateway finds out before anything opens.
    """

    cluster: str
    namespace: str = ""
    pod: str = ""
    container: str | None = None

    @classmethod
    def parse(cls, cluster: str, namespace: str | None, pod: str, container: str | None) -> "Target":
        """Returns the target of these names. `namespace`: None where it is not named. Raises BadRequest for
        what Kubernetes could not have as a name, so that no such text reaches a shell.
        """
        _require(_LABEL, 63, "cluster", cluster)
        if namespace is not None:
            check_namespace(namespace)
        kind, slash, name = pod.rpartition("/")
        if slash and (known := kind_of(kind)) is None:
            raise BadRequest(
                f"cannot find pods by {_shown(kind)}: use a pod's name, or one of deploy/NAME, svc/NAME, sts/NAME"
            )
        _require(_SUBDOMAIN, 253, "pod", name)
        if container:
            _require(_LABEL, 63, "container", container)
        return cls(cluster, namespace or "", f"{known}/{name}" if slash else name, container or None)

    @classmethod
    def from_path(cls, path: str) -> "Target":
        """Returns the target that `path` wrote. Raises BadRequest."""
        parts = [unquote(part) for part in path.split("/")]
        if len(parts) not in (3, 4):
            raise BadRequest(f"{_shown(path)} is not CLUSTER/NS/POD[/CONTAINER]")
        return cls.parse(parts[0], parts[1] or None, parts[2], parts[3] if len(parts) == 4 else None)

    def path(self) -> str:
        """Returns the target as it stands behind the page's address: a `/` within a part, as in deploy/NAME, is
        escaped. The namespace is empty where it is not named.
        """
        parts = [self.cluster, self.namespace, self.pod, *([self.container] if self.container else [])]
        return "/".join(quote(part, safe="") for part in parts)

    def __str__(self) -> str:
        namespace = self.namespace or (UNNAMED if self.pod else "")
        return "/".join(part for part in (self.cluster, namespace, self.pod, self.container) if part)


@dataclass(frozen=True)
class Command:
    """Holds what to run, with the streams the client asked for. An empty argv lets the gateway choose a
    shell. Raises BadRequest for an argv that cannot be carried, and where no stream is asked for.

    `argv` holds exact bytes as text: any Unicode but NUL and lone surrogates (see `check_argv`).
    """

    argv: tuple[str, ...] = ()
    verb: Verb = "exec"
    stdin: bool = False
    stdout: bool = False
    stderr: bool = False
    tty: bool = False
    size: TerminalSize | None = field(default=None, compare=False)
    # what is left of the command in the pod is ended then, so it is started through a shell there
    kill_on_disconnect: bool = False
    exact: bool = False  # no key drops output that waits
    own_client: bool = field(default=False, compare=False)  # asked for by a client of ours
    session: str = field(default="", compare=False)  # the id of the session that runs it: letters and digits
    owner: str = field(default="", compare=False)  # the name of the identity that it runs for
    actor: Actor | None = field(
        default=None, compare=False
    )  # in whose name kubectl asks; None: the runner's account

    @property
    def tracked(self) -> bool:
        """True if what the command starts in a pod carries the session's id, so that it is found again."""
        return self.verb == "exec" and (self.kill_on_disconnect or not self.argv)

    @property
    def drops_floods(self) -> bool:
        """True if a key that flushes a terminal drops a flood of output that waits: in a shell that the gateway starts. A
        command that was named may have its terminal raw, where these keys are bytes of a transfer.
        """
        return self.tty and self.verb == "exec" and not self.argv and not self.exact

    @property
    def argv_sha256(self) -> str:
        """Returns the SHA-256 of argv as JSON in ASCII: it proves which command was run, and shows none of it."""
        return hashlib.sha256(json.dumps(self.argv).encode()).hexdigest()

    def __post_init__(self) -> None:
        check_argv(self.argv)
        if not (self.stdin or self.stdout or self.stderr):
            raise BadRequest("you must specify at least 1 of stdin, stdout, stderr")


def kind_of(text: str) -> str | None:
    """Returns the row of KINDS that `text` means; None where it means none. Kinds are as kubectl takes them and `kubectl
    get -o name` prints them: in any case, with the API group behind a full stop, and with the version between.
    """
    kind, _, rest = text.lower().partition(".") if text.isascii() else ("", "", "")
    version, _, group = rest.rpartition(".")
    right = not rest or (group == _GROUP_OF.get(kind) and (not version or _VERSION.fullmatch(version)))
    return kind if kind in KINDS and right and not text.endswith(".") else None


def check_namespace(name: str) -> None:
    """Raises BadRequest for what is no namespace's name."""
    _require(_LABEL, 63, "namespace", name)


def check_argv(argv: tuple[str, ...]) -> None:
    """Raises BadRequest for what kubectl or the kernel could not carry unchanged: NUL, and bytes that are no
    UTF-8.
    """
    for number, argument in enumerate(argv):
        if "\0" in argument:
            raise BadRequest(f"command argument {number} contains a NUL byte, which no program can be given")
        try:
            argument.encode()
        except UnicodeEncodeError:
            raise BadRequest(
                f"command argument {number} is not valid UTF-8, which kubectl would change"
            ) from None


def _require(rule: re.Pattern[str], limit: int, what: str, name: str) -> None:
    if len(name) > limit or not rule.fullmatch(name):
        raise BadRequest(
            f"{_shown(name)} is not a {what} name: use lower case letters, digits and '-', at most {limit} characters"
        )


def _shown(name: str) -> str:
    return ascii(name if len(name) <= 80 else name[:80] + "...")
