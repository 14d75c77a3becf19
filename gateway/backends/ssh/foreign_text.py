"""Makes text that a host sent fit to be shown to a person."""

from gateway.log import printable

_CUT = "…"
_MOST = 300  # characters


def shown(text: str, most: int = _MOST) -> str:
    """Returns the text as one line of printable characters, `most` at most: spaces and line ends become one space each,
    and control characters and those that change the direction of writing are escaped, as ssh does with vis(3).
    """
    line = printable(" ".join(text[: 4 * most].split()))
    return line if len(line) <= most else line[: most - len(_CUT)] + _CUT
