"""Merges the entries of a gateway into the text of somebody's kubeconfig. What is not ours stays as it is written, byte for
byte, comments included: the text is edited where PyYAML's marks say that an entry is, and read again afterwards.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import yaml

_KINDS = {
    "clusters": "cluster",
    "contexts": "context",
    "users": "user",
}  # each list, and the key of an entry's content
_CURRENT = "current-context"
_LINE = "\n"
_NULL = ("", "~", "null", "Null", "NULL")  # as BaseLoader has what is nothing

Edit = tuple[int, int, str]  # from, to, and what comes in place


class NotMergeable(Exception):  # noqa: N818  # said of a file
    """Raised for a file into which nothing can be merged. The message goes on behind the file's name."""


@dataclass(frozen=True)
class Merged:
    """Holds the new text, and the name of its current context."""

    text: str
    current: str


def merged(text: str, ours: dict[str, Any]) -> Merged:
    """Returns `text` with the entries of `ours` in place of those that were merged before. The current context becomes
    ours where there is none, or where it was one of ours. Raises NotMergeable.
    """
    try:
        return _merged(text, ours)
    except (yaml.YAMLError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f" (line {mark.line + 1})" if mark else ""
        raise NotMergeable(f"is no YAML that can be read{where}") from None


def _merged(text: str, ours: dict[str, Any]) -> Merged:
    root = yaml.compose(text, yaml.SafeLoader)
    if root is None or (isinstance(root, yaml.MappingNode) and not root.value):
        return Merged(_whole(text, root, ours), ours[_CURRENT])
    before = yaml.load(text, yaml.BaseLoader)  # noqa: S506  # it makes text, lists and mappings of everything
    if not isinstance(root, yaml.MappingNode):
        raise NotMergeable("is no kubeconfig")
    gone = _ours_before(before, ours)
    wanted = {kind: _kept(before, kind, gone[kind]) + _plain(ours[kind]) for kind in _KINDS}
    current = _or_empty(before.get(_CURRENT), "")
    if not isinstance(current, str):
        raise NotMergeable(f"is no kubeconfig: {_CURRENT} is no name")
    if not current or current in gone["contexts"]:
        current = ours[_CURRENT]
    edits = [edit for kind in _KINDS for edit in _list_edits(text, root, kind, gone[kind], ours[kind])]
    edits += _current_edits(text, root, current) if current != before.get(_CURRENT) else []
    changed = _applied(text, edits)
    if _read_again(changed) != before | wanted | {_CURRENT: current}:
        raise NotMergeable("is written in a way that cannot be edited without writing it anew")
    return Merged(changed, current)


def _whole(text: str, root: yaml.Node | None, ours: dict[str, Any]) -> str:
    """Returns the text of a file that had nothing, or nothing but comments."""
    written = json.dumps(ours, indent=2, ensure_ascii=False)
    if root:
        return text[: root.start_mark.index] + written + text[root.end_mark.index :]
    return f"{text}{'' if not text or text.endswith(_LINE) else _LINE}{written}{_LINE}"


def _read_again(changed: str) -> Any:
    try:
        return yaml.load(changed, yaml.BaseLoader)  # noqa: S506  # as above
    except yaml.YAMLError:
        return None


def _ours_before(before: dict[str, Any], ours: dict[str, Any]) -> dict[str, set[str]]:
    """Returns the names of the entries that are to be replaced: those of our names, and those of clusters that the gateway
    had before. Raises NotMergeable where an entry of our name is somebody else's.
    """
    names = {kind: {one["name"] for one in ours[kind]} for kind in _KINDS}
    for user in _entries(before, "users"):
        plugin = _or_empty(user.get("user"), {}).get("exec")
        words = plugin.get("args") if isinstance(plugin, dict) else None
        if user["name"] in names["users"] and (not isinstance(words, list) or words[-1:] != ["token"]):
            raise NotMergeable(f"has a user {user['name']!r} that is not of dap's making: rename it")
    for context in _entries(before, "contexts"):
        about = _or_empty(context.get("context"), {})
        if not all(isinstance(about.get(key, ""), str) for key in ("user", "cluster")):
            raise NotMergeable(f"is no kubeconfig: context {context['name']!r} names no user or cluster")
        if about.get("user") in names["users"]:
            names["contexts"].add(context["name"])
            names["clusters"] |= {context["name"]} & {about.get("cluster")}
        elif context["name"] in names["contexts"]:
            raise NotMergeable(f"has a context {context['name']!r} that is not of dap's making: rename it")
    return names


def _entries(document: dict[str, Any], kind: str) -> Iterator[dict[str, Any]]:
    found = _or_empty(document.get(kind), [])
    for one in found if isinstance(found, list) else [None]:
        if (
            not isinstance(one, dict)
            or not isinstance(one.get("name"), str)
            or not isinstance(_or_empty(one.get(_KINDS[kind]), {}), dict)
        ):
            raise NotMergeable(f"is no kubeconfig: {kind} is no list of entries that have names")
        yield one


def _or_empty(value: Any, empty: Any) -> Any:
    """Returns the value, or `empty` where BaseLoader has read nothing, or a null."""
    return empty if value is None or value in _NULL else value


def _kept(document: dict[str, Any], kind: str, gone: set[str]) -> list[Any]:
    return [one for one in _entries(document, kind) if one["name"] not in gone]


def _plain(entries: list[dict[str, Any]]) -> Any:
    """Returns the entries as BaseLoader makes them of their text."""
    return yaml.load(json.dumps(entries), yaml.BaseLoader)  # noqa: S506  # as above


def _list_edits(
    text: str, root: yaml.MappingNode, kind: str, gone: set[str], ours: list[dict[str, Any]]
) -> Iterator[Edit]:
    """Yields what takes our entries of before out of one list, and puts the new ones at its end."""
    value = _value(root, kind)
    if value is None:
        yield _new_key(root, kind, _flow(ours) if root.flow_style else _block(text, ours, root, first=True))
    elif isinstance(value, yaml.SequenceNode) and value.value and not value.flow_style:
        for node in value.value:
            if _name(node) in gone:
                yield _dash(text, node, value.start_mark.column), _line_end(text, _end(node)), ""
        end = _line_end(text, _end(value))
        missing = "" if text[:end].endswith(_LINE) else _newline(text)
        yield end, end, missing + _block(text, ours, value)
    elif root.flow_style or (isinstance(value, yaml.SequenceNode) and value.value):
        items = value.value if isinstance(value, yaml.SequenceNode) else []
        kept = [text[one.start_mark.index : one.end_mark.index] for one in items if _name(one) not in gone]
        yield value.start_mark.index, value.end_mark.index, f"[{', '.join([*kept, _flow(ours)[1:-1]])}]"
    else:  # [], null, or nothing
        lines = _block(text, ours, root, first=True).rstrip()
        yield value.start_mark.index, value.end_mark.index, lines


def _current_edits(text: str, root: yaml.MappingNode, current: str) -> Iterator[Edit]:
    value, quoted = _value(root, _CURRENT), json.dumps(current, ensure_ascii=False)
    if value is None:
        yield _new_key(root, _CURRENT, quoted if root.flow_style else f" {quoted}{_newline(text)}")
    else:
        start = value.start_mark.index
        yield start, value.end_mark.index, quoted if text[start - 1].isspace() else f" {quoted}"


def _new_key(root: yaml.MappingNode, key: str, value: str) -> Edit:
    """Returns what puts a key before all others: behind them may be the document's end, and comments."""
    if root.flow_style:
        at = root.start_mark.index + 1
        return at, at, f"{json.dumps(key)}: {value}, "
    at = root.start_mark.index
    return at, at, f"{key}:{value}{' ' * root.start_mark.column}"


def _block(text: str, entries: list[dict[str, Any]], beside: yaml.Node, *, first: bool = False) -> str:
    """Returns the entries as items of a block list in the column of `beside`, each in one line of JSON. `first`: the list
    begins with them.
    """
    end, blanks = _newline(text), " " * beside.start_mark.column
    lines = [f"{blanks}- {json.dumps(one, ensure_ascii=False)}{end}" for one in entries]
    return "".join([end if first else "", *lines])


def _flow(entries: list[dict[str, Any]]) -> str:
    return json.dumps(entries, ensure_ascii=False)


def _newline(text: str) -> str:
    return "\r\n" if "\r\n" in text else _LINE


def _value(mapping: yaml.Node, key: str) -> Any:
    pairs = mapping.value if isinstance(mapping, yaml.MappingNode) else []
    return next((value for name, value in pairs if name.value == key), None)


def _name(entry: yaml.Node) -> str:
    found = _value(entry, "name")
    return str(found.value) if isinstance(found, yaml.ScalarNode) else ""


def _end(node: yaml.Node) -> int:
    """Returns where the node's text ends. A block's own mark is behind the comments that follow it."""
    while isinstance(node, yaml.CollectionNode) and not node.flow_style and node.value:
        last = node.value[-1]
        node = last[1] if isinstance(node, yaml.MappingNode) else last
    return int(node.end_mark.index)


def _line_end(text: str, at: int) -> int:
    """Returns where the line ends that `at` is in, behind its line break; `at` itself where a line begins there."""
    if text[:at].endswith(_LINE):
        return at
    found = text.find(_LINE, at)
    return len(text) if found < 0 else found + 1


def _dash(text: str, node: yaml.Node, column: int) -> int:
    """Returns where the line begins that has the dash of a list's item."""
    start = text.rfind(_LINE, 0, node.start_mark.index) + 1
    while start and text[start + column : start + column + 1] != "-":
        start = text.rfind(_LINE, 0, start - 1) + 1
    return start


def _applied(text: str, edits: list[Edit]) -> str:
    for start, end, new in sorted(edits, key=lambda edit: edit[0], reverse=True):
        text = text[:start] + new + text[end:]
    return text
