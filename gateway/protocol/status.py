"""Builds and reads Kubernetes Status objects, byte for byte as Go writes them (apimachinery meta/v1 types.go,
field order and all).

On stream 3 kind and apiVersion are left out; a refused HTTP request carries them.
"""

import json
import re
from dataclasses import dataclass, field
from typing import Any

_REASONS = {
    400: "BadRequest", 401: "Unauthorized", 403: "Forbidden", 404: "NotFound", 405: "MethodNotAllowed",
    409: "Conflict", 410: "Gone", 426: "BadRequest", 429: "TooManyRequests", 500: "InternalError", 503: "ServiceUnavailable",
    504: "Timeout",
}  # fmt: skip
_FIELDS: dict[str, type] = {"message": str, "reason": str, "details": dict, "code": int}  # in Go's order
_SURROGATE = re.compile("[\ud800-\udfff]")
_EXIT_CODE = re.compile(r"[0-9]{1,10}")
_CODES = 2**32  # a Windows container's; others end with one byte


@dataclass(frozen=True)
class Status:
    """Holds success, or a failure with Kubernetes' reason. `details` and `code` as in the JSON; 0 is left
    out.
    """

    success: bool
    message: str = ""
    reason: str = ""
    details: dict[str, Any] = field(default_factory=dict)
    code: int = 0

    def json(self, *, http: bool = False) -> bytes:
        """Returns the bytes for stream 3, or, with `http`, for the body of a refused request (ends in a line
        break).
        """
        body: dict[str, Any] = {"kind": "Status", "apiVersion": "v1"} if http else {}
        body["metadata"] = {}
        body["status"] = "Success" if self.success else "Failure"
        for name in _FIELDS:
            if value := getattr(self, name):
                body[name] = value
        return _go(body) + b"\n" if http else _go(body)

    @property
    def exit_code(self) -> int | None:
        """Returns the command's exit code; None where the Status is about something else."""
        if self.success:
            return 0
        if self.reason != "NonZeroExitCode":
            return None
        try:
            causes = self.details["causes"]
            text = next(cause["message"] for cause in causes if cause["reason"] == "ExitCode")
        except (KeyError, TypeError, StopIteration):
            return None
        return (
            int(text) if isinstance(text, str) and _EXIT_CODE.fullmatch(text) and int(text) < _CODES else None
        )

    @classmethod
    def parse(cls, data: bytes) -> "Status | None":
        """Returns the Status that a server sent on stream 3; None where the bytes are no Status."""
        try:
            body = json.loads(data.decode())
        except (ValueError, RecursionError):
            return None
        if not isinstance(body, dict) or body.get("status") not in ("Success", "Failure"):
            return None
        known: dict[str, Any] = {
            name: value
            for name, kind in _FIELDS.items()
            if isinstance(value := body.get(name), kind) and not isinstance(value, bool)
        }
        return cls(body["status"] == "Success", **known)


SUCCESS = Status(success=True)


def non_zero_exit(code: int) -> Status:
    """Returns the Status of a command that ended with `code`, 1 or more (a signal as 128 + its number)."""
    return Status(
        success=False,
        message=f"command terminated with non-zero exit code: command terminated with exit code {code}",
        reason="NonZeroExitCode",
        details={"causes": [{"reason": "ExitCode", "message": str(code)}]},
    )


def internal_error(message: str) -> Status:
    """Returns a failure in the form of apimachinery's api/errors NewInternalError. Headlamp and Rancher try
    their next shell on exactly this form.
    """
    return Status(
        success=False,
        message=f"Internal error occurred: {message}",
        reason="InternalError",
        details={"causes": [{"message": message}]},
        code=500,
    )


def failure(code: int, message: str, reason: str = "", details: dict[str, Any] | None = None) -> Status:
    """Returns a refusal with an HTTP code; the reason is Kubernetes' own for that code unless named."""
    return Status(False, message, reason or _REASONS.get(code, "InternalError"), details or {}, code)


def exited(code: int) -> Status:
    """Returns the Status of a command that ran and ended with `code`."""
    return SUCCESS if code == 0 else non_zero_exit(code)


def _go(body: dict[str, Any]) -> bytes:
    """Returns the JSON as encoding/json writes it: compact, UTF-8, and <, >, &, U+2028, U+2029 escaped; what
    is no UTF-8 becomes U+FFFD.
    """
    text = json.dumps(body, ensure_ascii=False, separators=(",", ":"))
    for char in "<>&\u2028\u2029":
        text = text.replace(char, f"\\u{ord(char):04x}")
    return _SURROGATE.sub(r"\\ufffd", text).encode()
