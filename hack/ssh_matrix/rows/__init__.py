"""All rows. Each is a sample of a kind of complaint."""

from ssh_matrix.rows import algorithms, files, keys, session, syntax, trust, unfollowed, way

ROWS = (
    *trust.ROWS, *files.ROWS, *syntax.ROWS, *way.ROWS, *keys.ROWS, *algorithms.ROWS, *session.ROWS, *unfollowed.ROWS,
)  # fmt: skip
