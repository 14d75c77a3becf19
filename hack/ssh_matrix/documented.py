"""The differences from ssh that the documentation names, each with its reason."""

import re
from pathlib import Path

README = Path(__file__).resolve().parents[2] / "gateway" / "backends" / "ssh" / "README.md"


def documented(text: str) -> dict[str, str]:
    """Row -> reason, of each line `| setting | what happens here | why | rows |` whose last cell names rows in
    backticks.
    """
    found: dict[str, str] = {}
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.strip().strip("|").split(" | ")]
        if line.startswith("|") and len(cells) == 4:
            found |= dict.fromkeys(re.findall("`([^`]+)`", cells[3]), cells[2])
    return found
