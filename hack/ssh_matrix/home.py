"""A row's home: its files, its agent, and the mount namespace in which passwd says that it is the user's home."""

import hmac
import os
import pwd
import shlex
import shutil
import signal
import subprocess
import sys
import time
from base64 import b64encode
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from ssh_matrix.row import Row, filled

_READY = 10.0  # seconds for what runs beside a row to be there
_ROOTS = ("/etc/passwd", "/etc/hosts", "/etc/ssh")


class Home:
    """One row's directory, filled."""

    def __init__(self, directory: Path, row: Row, keys: Path, variables: Mapping[str, str]) -> None:
        self.row, self.directory, self._keys = row, directory / "home", keys
        self._etc = directory / "etc"
        port = variables[f"port.{row.server}"]
        own = {"home": str(self.directory), "port": port, "hashed": hashed(f"[127.0.0.1]:{port}")}
        self._variables = {**variables, **own}
        (self.directory / ".ssh").mkdir(parents=True, mode=0o700)
        self.fill()
        self._write_etc()

    @property
    def config(self) -> Path | None:
        """The file of ssh's settings, where it is not ssh's own."""
        return None if self.row.own_files else self.directory / "config"

    @property
    def host(self) -> str:
        """What a person writes to name the host."""
        return filled(self.row.host, self._variables)

    @property
    def mounts(self) -> dict[str, str]:
        """Path of the machine -> the row's, where there may be a namespace."""
        return {path: str(self._etc / Path(path).name) for path in _ROOTS} if namespaces() else {}

    def env(self) -> dict[str, str]:
        """The environment of both sides, which nothing of ours gets into."""
        kept = {name: value for name, value in os.environ.items() if name in ("PATH", "PYTHONPATH", "LANG")}
        agent = {"SSH_AUTH_SOCK": str(self.directory / "agent")} if self.row.agent else {}
        own = {name: filled(value, self._variables) for name, value in self.row.env.items()}
        env = kept | {"HOME": str(self.directory), "SHELL": "/bin/sh", "USER": _user()} | agent | own
        return {name: value for name, value in env.items() if value}

    def inside(self, arguments: list[str]) -> list[str]:
        """The command line, in the row's namespace where there may be one."""
        if not namespaces():
            return arguments
        binds = "".join(
            f"{shlex.join(['mount', '--bind', file, path])} && " for path, file in self.mounts.items()
        )
        return ["unshare", "-m", "sh", "-c", f"{binds}exec {shlex.join(arguments)}"]

    @contextmanager
    def beside(self) -> Iterator[None]:
        """Runs the row's agent and what it starts beside both sides."""
        with ExitStack() as stack:
            if self.row.agent:
                socket = self.directory / "agent"
                stack.enter_context(self._running(["ssh-agent", "-D", "-a", str(socket)], socket))
                for name in self.row.agent:
                    self._add(name, socket)
            if self.row.start:
                line = self.inside(["sh", "-c", filled(self.row.start, self._variables)])
                stack.enter_context(self._running(line, self.directory / "ready"))
            yield

    @contextmanager
    def _running(self, arguments: list[str], ready: Path) -> Iterator[None]:
        program = subprocess.Popen(
            arguments, env=self.env(), cwd=self.directory, start_new_session=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        try:
            end = time.monotonic() + _READY
            while not ready.exists():
                if program.poll() is not None or time.monotonic() > end:
                    raise OSError(f"{arguments[0]} is not ready")
                time.sleep(0.01)
            yield
        finally:
            with suppress(ProcessLookupError):
                os.killpg(program.pid, signal.SIGKILL)
            program.wait()

    def _add(self, name: str, socket: Path) -> None:
        secret = self.directory / ".secret"
        secret.write_text("#!/bin/sh\necho secret\n")
        secret.chmod(0o700)
        env = os.environ | {
            "SSH_AUTH_SOCK": str(socket),
            "SSH_ASKPASS": str(secret),
            "SSH_ASKPASS_REQUIRE": "force",
        }
        subprocess.run(
            ["ssh-add", "-q", str(self._keys / name)], env=env, check=True, capture_output=True, timeout=10
        )

    def fill(self) -> None:
        """Writes the row's files, anew where a side has changed them: ssh adds to known hosts."""
        row = self.row
        for path, name in row.keys.items():
            self._path(path).write_bytes((self._keys / name).read_bytes())
            self._path(path).chmod(0o600)
        texts = {".ssh/config" if row.own_files else "config": row.config + row.base}
        texts |= ({} if row.known is None else {"known": row.known}) | dict(row.files)
        for path, text in texts.items():
            self._path(path).write_bytes(filled(text, self._variables).encode("latin-1"))
        for path, mode in row.modes.items():
            self._path(path).chmod(mode)
        for path, owner in row.owners.items():
            os.chown(self._path(path), *owner)

    def _write_etc(self) -> None:
        (self._etc / "ssh").mkdir(parents=True)
        for path, text in self.row.etc.items():
            (self._etc / "ssh" / path).write_bytes(filled(text, self._variables).encode("latin-1"))
        (self._etc / "hosts").write_text(f"127.0.0.1 localhost\n{self.row.hosts}")
        fields = (line.split(":") for line in Path("/etc/passwd").read_text().splitlines())
        lines = (
            ":".join([*field[:5], str(self.directory), *field[6:]] if field[0] == _user() else field)
            for field in fields
        )
        (self._etc / "passwd").write_text("\n".join(lines) + "\n")

    def _path(self, path: str) -> Path:
        found = self.directory / filled(path, self._variables)
        found.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        return found


def hashed(name: str) -> str:
    """The name as HashKnownHosts writes it (OpenSSH's hostfile.c)."""
    salt = os.urandom(20)
    digest = hmac.digest(salt, name.encode(), "sha1")
    return f"|1|{b64encode(salt).decode()}|{b64encode(digest).decode()}"


def namespaces() -> bool:
    """A mount namespace can be made."""
    return os.geteuid() == 0 and sys.platform == "linux" and shutil.which("unshare") is not None


def _user() -> str:
    return pwd.getpwuid(os.getuid()).pw_name
