"""Kubernetes Status objects, byte for byte as Go writes them (apimachinery meta/v1 types.go, field order and all).

On stream 3 kind and apiVersion are left out; a refused HTTP request carries them.
"""

import json
from dataclasses import dataclass, field
from typing import Any

_REASONS = {
    400: "BadRequest", 401: "Unauthorized", 403: "Forbidden", 404: "NotFound", 405: "MethodNotAllowed",
    409: "Conflict", 429: "TooManyRequests", 500: "InternalError", 503: "ServiceUnavailable", 504: "Timeout",
}  # fmt: skip


@dataclass(frozen=True)
class Status:
    """Success, or a failure with Kubernetes' reason. `details` and `code` as in the JSON; 0 is left out."""

    success: bool
    message: str = ""
    reason: str = ""
    details: dict[str, Any] = field(default_factory=dict)
    code: int = 0

    def json(self, *, http: bool = False) -> bytes:
        """The bytes for stream 3, or, with `http`, for the body of a refused request."""
        body: dict[str, Any] = {"kind": "Status", "apiVersion": "v1"} if http else {}
        body["metadata"] = {}
        body["status"] = "Success" if self.success else "Failure"
        for name in ("message", "reason", "details", "code"):
            if value := getattr(self, name):
                body[name] = value
        return _go(body)

    @property
    def exit_code(self) -> int | None:
        """The command's exit code, None where the Status is about something else."""
        if self.success:
            return 0
        if self.reason != "NonZeroExitCode":
            return None
        try:
            causes = self.details["causes"]
            return next(int(cause["message"]) for cause in causes if cause["reason"] == "ExitCode")
        except (KeyError, TypeError, ValueError, StopIteration):
            return None

    @classmethod
    def parse(cls, data: bytes) -> "Status | None":
        """What a server said on stream 3; None where it is no Status."""
        try:
            body = json.loads(data)
        except ValueError:
            return None
        if not isinstance(body, dict) or body.get("status") not in ("Success", "Failure"):
            return None
        details = body.get("details")
        return cls(
            body["status"] == "Success",
            str(body.get("message", "")),
            str(body.get("reason", "")),
            details if isinstance(details, dict) else {},
            code if isinstance(code := body.get("code"), int) else 0,
        )


SUCCESS = Status(success=True)


def non_zero_exit(code: int) -> Status:
    """The command ended with `code`, 1 to 255 (a signal as 128 + its number)."""
    return Status(
        success=False,
        message=f"command terminated with non-zero exit code: command terminated with exit code {code}",
        reason="NonZeroExitCode",
        details={"causes": [{"reason": "ExitCode", "message": str(code)}]},
    )


def internal_error(message: str) -> Status:
    """Apimachinery api/errors NewInternalError. Headlamp and Rancher try their next shell on exactly this form."""
    return Status(
        success=False,
        message=f"Internal error occurred: {message}",
        reason="InternalError",
        details={"causes": [{"message": message}]},
        code=500,
    )


def failure(code: int, message: str, reason: str = "", details: dict[str, Any] | None = None) -> Status:
    """A refusal with an HTTP code; the reason is the one Kubernetes has for it unless named."""
    return Status(False, message, reason or _REASONS.get(code, "InternalError"), details or {}, code)


def exited(code: int) -> Status:
    """How a command that ran has ended."""
    return SUCCESS if code == 0 else non_zero_exit(code)


def _go(body: dict[str, Any]) -> bytes:
    """encoding/json: compact, UTF-8, and <, >, &, U+2028, U+2029 escaped."""
    text = json.dumps(body, ensure_ascii=False, separators=(",", ":"))
    for char in "<>&\u2028\u2029":
        text = text.replace(char, f"\\u{ord(char):04x}")
    return text.encode("utf-8", "replace")
