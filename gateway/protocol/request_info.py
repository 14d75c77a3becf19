"""Reads from the path of an API request what is asked of which object, as the API server does before it authorizes
(k8s.io/apiserver, pkg/endpoints/request/requestinfo.go).
"""

import re
from dataclasses import dataclass
from urllib.parse import parse_qs, unquote_to_bytes

from gateway.protocol.errors import BadRequest

PREFIXES = ("api", "apis", "version", "openapi")
_VERBS = {
    "POST": "create", "GET": "get", "HEAD": "get", "PUT": "update", "PATCH": "patch", "DELETE": "delete",
}  # fmt: skip
_SPECIAL = ("proxy", "watch")  # verbs that stand in the path, of Kubernetes before 1.10
_OF_NAMESPACES = ("status", "finalize")  # subresources of the namespace itself
_STREAMS = ("exec", "attach", "portforward", "proxy")  # subresources that are verbs of their own here
_LONGEST = 8 * 1024  # characters of a path
_SEGMENT = re.compile(r"[^\x00-\x20/\\;\x7f]+")
_ENCODED_SLASH = re.compile(r"%2f|%5c", re.IGNORECASE)


@dataclass(frozen=True)
class RequestInfo:
    """Holds what a request asks for. `verb`: as in RBAC's rules (get, list, watch, create, update, patch, delete,
    deletecollection); but exec, attach, portforward and proxy for those subresources, whatever the method, since a
    WebSocket begins with a GET. `resource`: empty for a request that is about no object, such as /version. `path`:
    decoded once, without the query.
    """

    verb: str
    path: str
    group: str = ""
    version: str = ""
    resource: str = ""
    subresource: str = ""
    namespace: str = ""
    name: str = ""

    @property
    def kind(self) -> str:
        """Returns the resource with its subresource, as RBAC's rules name it: pods/exec."""
        return f"{self.resource}/{self.subresource}" if self.subresource else self.resource


def request_info(method: str, path: str, query: str = "") -> RequestInfo:
    """Returns what `method` on `path` asks for; both path and query are as they were written. Raises BadRequest for a
    path that a proxy could take for another path than the API server does: encoded slashes, "." and "..", empty
    segments, ";".
    """
    decoded = _decoded(path)
    parts = decoded.strip("/").split("/")
    verb = _VERBS.get(method)
    if verb is None:
        raise BadRequest(f"{method} is no method of the Kubernetes API")
    grouped = parts[0] == "apis"
    least = 4 if grouped else 3
    if parts[0] not in ("api", "apis") or len(parts) < least:
        return RequestInfo(verb, decoded)
    group, version = (parts[1], parts[2]) if grouped else ("", parts[1])
    rest = parts[least - 1 :]
    special = rest[0] if rest[0] in _SPECIAL else ""
    if special and len(rest) < 2:
        raise BadRequest(f"{decoded!a} names no resource")
    return _of_object(special or verb, decoded, group, version, rest[1:] if special else rest, query)


def _of_object(verb: str, path: str, group: str, version: str, parts: list[str], query: str) -> RequestInfo:
    """Returns what is asked of the object that `parts` name: [namespaces/NAMESPACE/]RESOURCE[/NAME[/SUBRESOURCE…]]."""
    namespace = ""
    if parts[0] == "namespaces" and len(parts) > 1:
        namespace = parts[1]
        if len(parts) > 2 and parts[2] not in _OF_NAMESPACES:
            parts = parts[2:]
    resource, name, subresource = (*parts[:3], "", "")[:3]
    if verb in _SPECIAL:
        subresource = ""
    elif not name:
        verb, name = _of_many(verb, query)
    elif subresource in _STREAMS:
        verb = subresource
    return RequestInfo(verb, path, group, version, resource, subresource, namespace, name)


def _of_many(verb: str, query: str) -> tuple[str, str]:
    """Returns verb and name of a request without a name in its path: a get is a list or a watch, and its field selector
    may name one object.
    """
    if verb == "delete":
        return "deletecollection", ""
    if verb != "get":
        return verb, ""
    fields = parse_qs(query, keep_blank_values=True)
    watches = fields.get("watch", ["false"])[0].lower() not in ("0", "false")
    selected = re.fullmatch(r"metadata\.name=([^,=!]+)", fields.get("fieldSelector", [""])[0])
    return "watch" if watches else "list", selected[1] if selected else ""


def _decoded(path: str) -> str:
    """Returns the path decoded once, as Go's net/url does. Raises BadRequest."""
    if len(path) > _LONGEST:
        raise BadRequest(f"the path has more than {_LONGEST} characters")
    if not path.startswith("/") or _ENCODED_SLASH.search(path) or re.search(r"%(?![0-9A-Fa-f]{2})", path):
        raise BadRequest(f"{path[:200]!a} is no path of the Kubernetes API")
    try:
        decoded = unquote_to_bytes(path).decode()
    except UnicodeDecodeError:
        raise BadRequest(f"{path[:200]!a} is no UTF-8") from None
    segments = decoded[1:].removesuffix("/").split("/")
    if any(not _SEGMENT.fullmatch(one) or one in (".", "..") for one in segments):
        raise BadRequest(
            f"{decoded[:200]!a} is no path of the Kubernetes API: write it without empty segments, dots and ';'"
        )
    return decoded
