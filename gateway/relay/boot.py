"""Starts the relay: the first text that runs in the runner, as `python3 -c`. Reads the rest, makes sure of a
daemon, becomes a carrier.

This module stands alone, since the modules beside it come in the zip that it reads. An answer to the gateway
is a line on stdout that begins with RS and the nonce; behind `link` every byte is the daemon's.
"""

import os
import sys
from typing import Any


def answer(text: str) -> None:
    """Writes one answer line to the gateway, with all white space made single spaces."""
    line = " ".join(text.split())
    os.write(1, f"\x1e{sys.argv[1]} {line}\n".encode("utf-8", "replace"))


def read(count: int) -> bytes:
    """Returns exactly `count` bytes of stdin and reads none beyond. Raises EOFError where stdin ends before."""
    data = b""
    while len(data) < count:
        part = os.read(0, count - len(data))
        if not part:
            raise EOFError("the gateway closed the link during the start of the relay")
        data += part
    return data


def unpack() -> Any:
    """Reads the settings and the zip, makes the zip importable through a descriptor without a file name, and
    returns the settings.
    """
    import json  # noqa: PLC0415

    settings = json.loads(read(int(sys.argv[2])).decode())
    store = os.memfd_create("dap-relay")
    left = memoryview(read(settings["zip"]))
    while left:
        left = left[os.write(store, left) :]
    sys.path.insert(0, f"/proc/self/fd/{store}")
    return settings


def main() -> None:
    """Starts or finds the daemon and carries the link until it is over. Reports any failure as one answer
    line; the exit status is always 0, since incus has uses of its own for others.
    """
    if sys.version_info < (3, 9):
        answer(f"old its python3 is {sys.version.split()[0]}; the relay needs 3.9")
        return
    try:
        settings = unpack()
        from dap_relay import fd_handover, process, run_directory  # type: ignore[import-not-found] # noqa: PLC0415

        process.set_process_name()
        process.raise_fd_limit()
        directory, lock = run_directory.enter(settings["key"], os.environ)
        version, secret = settings["version"], settings["secret"]
        daemon, first = run_directory.connect(directory, version), False
        greeted = None if daemon else fd_handover.with_sessions(directory, version, secret)
        if not (daemon or greeted):
            begin(run_directory.listen(directory, version), directory, lock, settings)
            daemon, first = run_directory.connect(directory, version), True
        os.close(lock)
        if daemon:
            fd_handover.greet(daemon, secret)
        daemon = daemon or greeted
        fd_handover.hand_over(daemon, lambda: answer("link"))
        if first:
            run_directory.sweep_all(os.environ)
        if not fd_handover.wait(daemon):
            run_directory.sweep(directory)
    except OSError as error:
        answer(f"error {error.strerror or error}" + (f": {error.filename}" if error.filename else ""))
    except Exception as error:  # noqa: BLE001  # all of it is told
        answer(f"error {type(error).__name__}: {error}")


def begin(listener: Any, directory: str, lock: int, settings: Any) -> None:
    """Starts the daemon detached: incus waits for whoever holds its pipes, and kills only its direct child.
    Returns once the daemon is forked.
    """
    from dap_relay.daemon import Daemon  # type: ignore[import-not-found] # noqa: PLC0415  # what is missing is told

    middle = os.fork()
    if middle:
        listener.close()
        os.waitpid(middle, 0)
        return
    try:
        os.close(lock)
        os.setsid()
        if os.fork():
            os._exit(0)
        null = os.open(os.devnull, os.O_RDWR)
        for fd in (0, 1, 2):
            os.dup2(null, fd)
        Daemon(listener, directory, settings, os.environ).run()
    finally:
        os._exit(0)


if __name__ == "__main__":
    main()
