"""Reads the Status with which the API server ends a remote command (kubernetes apimachinery meta/v1 Status)."""

from __future__ import annotations

import json
from typing import Any

from . import wire

MOST = 65536  # bytes of a Status
KEPT = 4000  # characters of it that EXIT has, which is one frame
_WORDS = 1000  # characters of its message


def result(status: bytes) -> dict[str, Any]:
    """Returns what EXIT says of a command with this Status: `status`, the text as it came, up to KEPT, and `code`, or `error` where
    the Status tells no exit code.
    """
    text = status.decode("utf-8", "replace")
    kept = text[:KEPT]
    try:
        parsed = json.loads(text)
        code = _exit_code(parsed)
    except (ValueError, RecursionError, LookupError, TypeError):
        return {
            "error": "the API server ended the command with what is no Status",
            "status": kept,
            "lost": True,
        }
    if code is not None:
        return {"code": code, "status": kept}
    return {"error": str(parsed.get("message", ""))[:_WORDS], "status": kept}


def _exit_code(status: dict[str, Any]) -> int | None:
    """Returns the exit code; None for a failure of another kind. Raises ValueError, LookupError or TypeError for what is
    no Status.
    """
    if status["status"] == "Success":
        return 0
    if status["status"] != "Failure":
        raise ValueError("status")
    if status.get("reason") != "NonZeroExitCode":
        return None
    code = int(
        next((one["message"] for one in status["details"]["causes"] if one["reason"] == "ExitCode"), "none")
    )
    if not 0 <= code < wire.CODES:
        raise ValueError("code")
    return code
