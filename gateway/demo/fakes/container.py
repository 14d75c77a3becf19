"""Runs a container of the demo: a private directory, and a command run there in a session of its own."""

# ruff: noqa: PTH103, PTH110, PTH113, PTH118, PTH123 - pathlib takes longer to import than all the rest
import os
import signal

from .cluster import Pod

_PASSED_ON = ("LANG", "LC_ALL", "LC_CTYPE", "TZ", "TMPDIR", "DAP_DEMO", "LOGNAME", "USER")
# Python ignores the first two, nohup HUP, a shell's background job INT and QUIT, and exec passes that on
_DEFAULT = (signal.SIGPIPE, signal.SIGXFSZ, signal.SIGHUP, signal.SIGINT, signal.SIGQUIT)


class StartError(Exception):
    """Raised with the words of the container runtime for a command that it cannot start."""


class Container:
    """Runs commands in a container, which is made on first use; `pods` is the directory of all, `programs`
    the stand-ins' own.
    """

    def __init__(self, pod: Pod, name: str, pods: str, programs: str) -> None:
        self.directory = os.path.join(pods, pod.namespace, pod.name, name)
        os.makedirs(self.directory, mode=0o700, exist_ok=True)
        self._bare = pod.bare
        path = os.environ.get("PATH", os.defpath).split(os.pathsep)
        prompt = f"{pod.name}:demo$ "
        self.environment = {name: os.environ[name] for name in _PASSED_ON if name in os.environ} | {
            "PATH": os.pathsep.join(folder for folder in path if folder != programs),
            "HOME": self.directory,
            "HOSTNAME": pod.name,
            "PS1": prompt,
        }
        # Where /etc/bash.bashrc sets a prompt, only this file comes after it.
        try:
            with open(os.path.join(self.directory, ".bashrc"), "x", encoding="utf-8") as file:
                file.write(f"PS1='{prompt}'\n")
        except FileExistsError:
            pass

    def start(self, command: list[str], files: tuple[int, int, int], *, terminal: bool) -> int:
        """Runs the command with these as stdin, stdout and stderr; returns its pid, which is its session too.

        Raises StartError when the command does not exist or cannot be run.
        """
        program = self._look_up(command[0])
        report, child_report = os.pipe()
        pid = os.fork()
        if pid == 0:
            try:
                self._become(program, command, files, terminal=terminal)
            except OSError as error:
                os.write(child_report, str(error.errno).encode())
            finally:
                os._exit(127)
        os.close(child_report)
        failed = os.read(report, 16)
        os.close(report)
        if failed:
            os.waitpid(pid, 0)
            raise StartError(f"exec {program}: {os.strerror(int(failed)).lower()}")
        return pid

    def _become(
        self, program: str, command: list[str], files: tuple[int, int, int], *, terminal: bool
    ) -> None:
        environment = dict(self.environment)
        if terminal:
            os.login_tty(os.dup(files[0]))
            environment["TERM"] = "xterm"
        else:
            os.setsid()
            for target, source in enumerate([os.dup(fd) for fd in files]):
                os.dup2(source, target)
                os.close(source)
        for number in _DEFAULT:
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        os.chdir(self.directory)
        os.execve(program, command, environment)  # noqa: S606 - a container has no shell around its command

    def _look_up(self, name: str) -> str:
        if "/" in name:
            path = os.path.join(self.directory, name)
            if self._bare or not os.path.exists(path):
                raise StartError(f'exec: "{name}": stat {name}: no such file or directory')
            if not _is_program(path):
                raise StartError(f'exec: "{name}": permission denied')
            return path
        folders = [] if self._bare else self.environment["PATH"].split(os.pathsep)
        for folder in folders:
            path = os.path.join(folder, name)
            if folder and name and _is_program(path):
                return path
        raise StartError(f'exec: "{name}": executable file not found in $PATH')


def _is_program(path: str) -> bool:
    return os.path.isfile(path) and os.access(path, os.X_OK)


def exit_code(status: int) -> int:
    """Returns a wait status as a container's exit code: 128 and the number for a signal."""
    code = os.waitstatus_to_exitcode(status)
    return 128 - code if code < 0 else code
