"""Finds which lines of ssh's files set a keyword, for messages: `ssh -G` gives values without their lines."""

import glob
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

_LINE = re.compile(r'\s*(\w+)(?:\s*=\s*|\s+)"?([^"]*)')
_DEPTH = 16  # of Include, as in ssh (readconf.c)


def setting_lines(files: Iterable[Path], keyword: str, value: str = "") -> str:
    """Returns the lines that set a keyword, to any value unless one is named, in any block, as in
    "/home/me/.ssh/config line 3, line 9"; empty where no line does.
    """
    found: dict[Path, list[int]] = {}
    for file in files:
        for path, number, name, text in _lines(file, file.parent, _DEPTH):
            if name.lower() == keyword.lower() and value in ("", text.lower()):
                found.setdefault(path, []).append(number)
    return "; ".join(f"{path} {', '.join(f'line {one}' for one in lines)}" for path, lines in found.items())


def _lines(file: Path, folder: Path, depth: int) -> Iterator[tuple[Path, int, str, str]]:
    """Yields (file, number, keyword, value) of each line, with those of included files where they are
    included.
    """
    try:
        text = file.read_text("utf-8", "replace")
    except OSError:
        return
    for number, line in enumerate(text.splitlines(), 1):
        if not (match := _LINE.match(line)):
            continue
        name, value = match[1], match[2].strip()
        yield file, number, name, value
        if name.lower() == "include" and depth:
            for pattern in value.split():
                for included in sorted(glob.glob(str(folder / Path(pattern).expanduser()))):  # noqa: PTH207  # an absolute pattern
                    yield from _lines(Path(included), folder, depth - 1)
