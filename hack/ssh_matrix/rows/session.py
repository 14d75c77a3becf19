"""What the host says, and what it lets a session do."""

from ssh_matrix.row import NO_TERMINAL, Row


def _key(name: str, key: str, ssh: str = "in", *, terminal: bool = False) -> Row:
    return Row(name, keys={"key": key}, ssh=ssh, terminal=terminal)


ROWS = (
    Row("a banner in Latin-1", server="banner"),
    Row("a VersionAddendum in Latin-1", server="addendum"),
    Row("a terminal", terminal=True),
    _key("a key with no-pty, a terminal", "nopty", NO_TERMINAL, terminal=True),
    _key("a key with no-pty, a pipe", "nopty"),
    _key("a key with restrict, a terminal", "restrict", NO_TERMINAL, terminal=True),
    _key("a key with restrict, a pipe", "restrict"),
    _key("a key with a command of its own", "forced", "other: other"),
    _key("a key with a command of its own, a terminal", "forced", "other: other", terminal=True),
    Row("RequestTTY force", "RequestTTY force\n"),
    Row("RemoteCommand", "Host other\n  RemoteCommand date\nHost *\n"),
    Row("SendEnv and SetEnv", "SendEnv LANG LC_*\nSetEnv FOO=bar\n"),
    Row("LogLevel QUIET", "LogLevel QUIET\n"),
    Row("LocalForward, port taken", "LocalForward 127.0.0.1:<port> 127.0.0.1:1\n"),
    Row("LocalCommand", "PermitLocalCommand yes\nLocalCommand false\n"),
    Row("keepalives off", "ServerAliveInterval 0\nTCPKeepAlive no\n"),
)
