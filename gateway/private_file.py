"""Writes files that their user alone may read."""

import os
from pathlib import Path


def write(path: Path, text: str) -> None:
    """Replaces the file at `path`, 0600, by one with this text: whoever reads it sees the old text or the new. Makes its
    directory, 0700, where there is none. Raises OSError.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
