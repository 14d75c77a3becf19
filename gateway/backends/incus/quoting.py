"""Words of a command line that every login shell reads alike: sh, bash, dash, zsh, ksh, csh, tcsh and fish.

sshd gives the exec request to the user's login shell (`$SHELL -c LINE`), whichever that is. Single quotes keep all
that these shells have in common, but for four characters: the quote itself; `!`, which csh takes for history inside
quotes too; the backslash, which fish interprets inside quotes; and the line break, which csh does not allow in
quotes. The first three are written outside the quotes, each behind a backslash; a line break cannot be written at
all.
"""

import re
from collections.abc import Iterable

_PLAIN = re.compile(r"[A-Za-z0-9_./:@,+-]+")
_SPECIAL = re.compile(r"(['!\\]+)")


def quote(word: str) -> str:
    """Returns `word` quoted for a command line. Raises ValueError for a line break or NUL."""
    if _PLAIN.fullmatch(word):
        return word
    if any(char in word for char in "\0\n\r"):
        raise ValueError("a word of an exec request with a line break or NUL")
    parts = _SPECIAL.split(word)  # ordinary and special parts by turns
    quoted = [f"'{part}'" if part else "" for part in parts[::2]]
    escaped = ["".join(f"\\{char}" for char in part) for part in parts[1::2]]
    return "".join(a + b for a, b in zip(quoted, [*escaped, ""], strict=True)) or "''"


def incus_exec(instance: str, project: str = "", *, tty: bool = False) -> list[str]:
    """Returns the words before a command that incus runs in the instance, in a terminal if `tty`. The settings have
    refused names that incus takes for flags.
    """
    where = [f"--project={project}"] if project else []
    return ["incus", "exec", instance, *where, "-t" if tty else "-T", "--"]


def command_line(words: Iterable[str]) -> str:
    """Returns the command line of `words`: each quoted, with blanks between. Raises ValueError as `quote` does."""
    return " ".join(map(quote, words))
