"""Checks a request for a remote command, one that the cluster's API starts in a pod."""

from __future__ import annotations

import re
from typing import Any

from . import wire
from .request import ProxyRequest, parse_size

_PATH = re.compile(r"/[!-~]*")  # what is left of a path and its query once everything else is escaped
_TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")  # RFC 9110 5.6.2
_VALUE = re.compile(r"[\t -~\x80-\xff]*")
_ANSWER = 30.0  # seconds for the answer to the handshake, unless the request says otherwise
_SILENCE = 60.0  # seconds without a byte, though pings ask for one
_LONGEST = 86400.0


class RemoteRequest:
    """Holds what to ask the API for: the fields of README.md. Raises WireError."""

    def __init__(self, given: dict[str, Any]) -> None:
        field = given["exec"] if isinstance(given["exec"], dict) else {}
        self.proxy = ProxyRequest(field.get("proxy"))
        self.path = _matching(_PATH, "path", field.get("path"))
        self.protocols = [_matching(_TOKEN, "protocol", one) for one in _listed(field, "protocols")]
        self.headers = [_header(one) for one in _listed(field, "headers")]
        self.stdin = bool(field.get("stdin"))
        self.generation = field.get("generation", 0)
        self.answer = _seconds(field.get("answer", _ANSWER))
        self.silence = _seconds(field.get("silence", _SILENCE))
        self.size = parse_size(given)
        if not self.protocols or not wire.is_offset(self.generation):
            raise wire.WireError("exec has protocols, and the number of a generation")


def _listed(field: dict[str, Any], name: str) -> list[Any]:
    values = field.get(name, [])
    if not isinstance(values, list):
        raise wire.WireError(f"{name} is a list")
    return values


def _header(pair: object) -> tuple[str, str]:
    name, value = pair if isinstance(pair, list) and len(pair) == 2 else (None, None)
    return _matching(_TOKEN, "header", name), _matching(_VALUE, "header", value)


def _matching(rule: re.Pattern[str], what: str, value: object) -> str:
    if not isinstance(value, str) or not rule.fullmatch(value):
        raise wire.WireError(f"exec has a {what} that cannot stand in a request")
    return value


def _seconds(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value <= _LONGEST:
        raise wire.WireError("answer and silence are seconds")
    return float(value)
