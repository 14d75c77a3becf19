"""Does `--show-completion` and `--install-completion`: the script by which a shell asks `dap` how a word may
go on.
"""

import os
import subprocess
from contextlib import suppress
from pathlib import Path

import click
from click.shell_completion import get_completion_class

_ALIASES = {"pwsh": "powershell"}
_SCRIPTS = {  # below the home directory
    "bash": ".bash_completions/dap.sh",
    "zsh": ".zfunc/_dap",
    "fish": ".config/fish/completions/dap.fish",
}
_START = {  # the shell's start file, and the line in it that finds the script; fish looks there by itself
    "bash": (".bashrc", "source '{script}'"),
    "zsh": (".zshrc", "fpath+=~/.zfunc; autoload -Uz compinit; compinit"),
}


def show(command: click.Command) -> None:
    """Prints the script for the current shell. Raises ClickException (exit 1) for a shell that we do not know."""
    print(_script(command, _current_shell()), end="")


def install(command: click.Command) -> None:
    """Writes the script into the home directory, and makes the current shell find it there. Raises as `show`,
    and OSError.
    """
    shell = _current_shell()
    text = _script(command, shell)
    if shell not in _SCRIPTS:
        raise click.ClickException(f"put the output of dap --show-completion into the profile of {shell}")
    path = Path.home() / _SCRIPTS[shell]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, "utf-8")
    if shell in _START:
        name, line = _START[shell]
        _add_line(Path.home() / name, line.format(script=path))
    print(f"{shell} completion installed in {path}")
    print("Completion will take effect once you restart the terminal")


def _script(command: click.Command, shell: str) -> str:
    kind = get_completion_class(shell)
    if kind is None:
        raise click.ClickException(f"Shell {shell or 'without a name'} is not supported.")
    return kind(command, {}, "dap", "_DAP_COMPLETE").source()


def _current_shell() -> str:
    """Returns the name of the shell that started us, or of the login shell where something else did."""
    parent = ""
    with suppress(OSError):
        ps = ["ps", "-o", "comm=", "-p", str(os.getppid())]
        parent = subprocess.run(ps, capture_output=True, text=True, check=False).stdout  # noqa: S603  # nothing of it is input
    names = [Path(path.strip().lstrip("-")).name for path in (parent, os.environ.get("SHELL", ""))]
    shells = [_ALIASES.get(name, name) for name in names]
    return next((shell for shell in shells if get_completion_class(shell)), shells[-1])


def _add_line(path: Path, line: str) -> None:
    text = path.read_bytes() if path.exists() else b""
    if line.encode() not in text.splitlines():
        with path.open("a", encoding="utf-8") as file:
            file.write(f"\n{line}\n")
