"""Stores in the state directory where `dap serve` listens: a client with another environment (cron, su, ssh without a
login session) finds the gateway by that file.
"""

import json
import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gateway import private_file

_NAME = "serving.json"
_MOST = 4096  # bytes of the file


@dataclass(frozen=True)
class Address:
    """Says where a gateway listens. `socket`: its Unix socket, None without one; `listen`: address and port of each TCP
    listener.
    """

    socket: Path | None = None
    listen: Sequence[tuple[str, int]] = ()


def write(directory: Path, address: Address) -> None:
    """Stores where this process listens, in place of what another process has stored. Raises OSError."""
    body = {
        "process": os.getpid(),
        "socket": str(address.socket or ""),
        "listen": [list(one) for one in address.listen],
    }
    private_file.write(directory / _NAME, json.dumps(body))


def remove(directory: Path) -> None:
    """Removes what this process has stored."""
    if _body(directory).get("process") == os.getpid():
        with suppress(OSError):
            (directory / _NAME).unlink()


def read(directory: Path) -> Address:
    """Returns where the gateway listens that started last; nowhere where none is stored. A gateway that was killed has
    left its file.
    """
    body = _body(directory)
    with suppress(KeyError, TypeError, ValueError):
        listen = tuple((str(address), int(port)) for address, port in body["listen"])
        return Address(Path(str(body["socket"])) if body["socket"] else None, listen)
    return Address()


def _body(directory: Path) -> dict[str, Any]:
    with suppress(OSError, ValueError):
        with (directory / _NAME).open("rb") as file:
            body = json.loads(file.read(_MOST))
        if isinstance(body, dict):
            return body
    return {}
