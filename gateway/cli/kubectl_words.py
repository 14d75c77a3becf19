"""Decides what of a command line of kubectl can run in the runner, where this machine's files, its editor and its listeners
are not: refuses everything that names one of them.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from gateway.protocol.errors import BadRequest

_HERE = "install kubectl on this machine, where dap kubectl uses it"
_KNOWN = frozenset(  # kubectl's own commands, but for those of _ELSEWHERE
    """
    annotate api-resources api-versions apply attach auth autoscale certificate cluster-info completion cordon create debug
    delete describe diff drain events exec explain expose get help label logs options patch replace rollout run scale set
    taint top uncordon version wait
    """.split()  # noqa: SIM905  # a list of them is three times as long
)
_ELSEWHERE = {
    "cp": "cp reads and writes files of this machine: pipe them, as in dap exec -i POD -- tar xf - < FILE",
    "edit": "edit opens an editor on this machine: pipe what you want into dap kubectl apply -f -",
    "kustomize": "kustomize reads a directory of this machine",
    "config": "config is about a kubeconfig of this machine: see dap kubeconfig and dap config",
    "kuberc": "kuberc is about a file of this machine",
    "plugin": "plugins are programs of this machine",
    "port-forward": "port-forward would listen in the runner: use dap port-forward",
    "proxy": "proxy would listen in the runner: see dap kubeconfig",
}
_VALUES = frozenset("nolcpLsvfk")  # letters of options that take a value
_LONG = {
    "f": "--filename", "k": "--kustomize", "s": "--server", "o": "--output", "i": "--stdin", "u": "--unix-socket"
}  # fmt: skip
_TAKE_A_VALUE = frozenset(
    """
    --namespace --as --as-group --as-uid --as-user-extra --request-timeout --output --selector --container --v --vmodule
    --token --username --password --tls-server-name --field-selector --context
    """.split()  # noqa: SIM905  # see above
)
_FILES = re.compile(
    r"--(kustomize|kubeconfig|kuberc|cert|key|custom|certificate-authority|client-certificate|client-key|profile-output"
    r"|unix-socket|www|from-(env-)?file|.+-(file|dir|directory))"
)
_OTHER_WAYS = re.compile(r"--(cluster|user|server)")
_FILE_OUTPUT = re.compile(r"(jsonpath|go-template|custom-columns|template)-?file")
_INTERACTIVE = ("--stdin", "--interactive")
_EDITS = ("--edit", "edit-last-applied")


@dataclass(frozen=True)
class Words:
    """Holds the words of kubectl that can run in the runner. `context`: which one they name, empty for none; it is not among
    `argv`. `reads`: kubectl reads its stdin.
    """

    argv: tuple[str, ...]
    context: str
    reads: bool


def for_runner(words: tuple[str, ...], *, impersonates: bool = False) -> Words:
    """Returns kubectl's words for the runner. `impersonates`: kubectl asks in somebody's name already. Raises BadRequest for
    what only a kubectl on this machine can do.
    """
    verb, kept, context, reads = _verb(words), [], "", False
    if verb in _ELSEWHERE:
        raise BadRequest(_ELSEWHERE[verb])
    if verb and verb not in _KNOWN:
        raise BadRequest(f"kubectl's own commands alone run in the runner, and {verb!r} is none: {_HERE}")
    for name, value, parts in _options(words, verb):
        if name == "--context":
            context = value
            continue
        kept += parts
        _check(name, value, impersonates=impersonates)
        reads |= (name == "--filename" and value == "-") or (name in _INTERACTIVE and value != "false")
    return Words(tuple(kept), context, reads)


def _check(name: str, value: str, *, impersonates: bool) -> None:
    """Raises BadRequest for an option that the runner cannot have."""
    if name == "--filename" and value != "-" and not value.startswith(("http://", "https://")):
        raise BadRequest(f"{value!r} is a file of this machine, which the runner has not: pipe it into -f -")
    if _FILES.fullmatch(name) or (name == "--output" and _FILE_OUTPUT.match(value)):
        raise BadRequest(f"{name} names a file of this machine, which the runner has not: {_HERE}")
    if _OTHER_WAYS.fullmatch(name):
        raise BadRequest(f"{name} leads to another cluster or account: name a context of dap kubeconfig")
    if name in _EDITS:
        raise BadRequest(f"{name} {_ELSEWHERE['edit'].removeprefix('edit ')}")
    if impersonates and name.startswith("--as"):
        raise BadRequest(f"the cluster is asked in your own name, so {name} is refused: leave it out")


def _verb(words: tuple[str, ...]) -> str:
    """Returns kubectl's command; empty where there is none."""
    return next((name for name, _, _ in _options(words, "") if not name.startswith("-")), "")


def _options(words: tuple[str, ...], verb: str) -> Iterator[tuple[str, str, list[str]]]:
    """Yields the name, the value and the words of each option and argument before `--`; short options by their long names."""
    left = list(words)
    while left:
        word = left.pop(0)
        parts = [word]
        if word == "--":
            return
        if word.startswith("--"):
            name, equals, value = word.partition("=")
            if not equals and left and (name in _TAKE_A_VALUE or name == "--filename"):
                value = left.pop(0)
                parts.append(value)
            yield name, value, parts
        elif word.startswith("-") and len(word) > 1:
            yield from _short(word, left, verb)
        else:
            yield word, "", parts


def _short(word: str, left: list[str], verb: str) -> Iterator[tuple[str, str, list[str]]]:
    """Yields the options of a group of letters; the last one's words are the whole group's. Takes a value from `left` where
    the last letter wants one.
    """
    parts = [word]
    for at, letter in enumerate(word[1:], 2):
        takes = letter in _VALUES and not (letter == "f" and verb == "logs")  # there -f is --follow
        takes = takes and not (letter == "p" and verb == "logs")  # and -p is --previous
        name = "--follow" if letter == "f" and not takes else _LONG.get(letter, f"-{letter}")
        if takes:
            value = word[at:].removeprefix("=")
            if not word[at:] and left:
                value = left.pop(0)
                parts.append(value)
            yield name, value, parts
            return
        yield name, "", parts if at == len(word) else []
