"""Files of known hosts: which are read, and what stands in them."""

from ssh_matrix.row import HOST_KEY, KNOWN, NO_KEY, NO_KNOWN, Row

_FILE = "UserKnownHostsFile "
_DEFAULT = {".ssh/id_ed25519": "good"}


def _named(name: str, files: str, *, ssh: str, **more: str) -> Row:
    return Row(name, f"{_FILE}{files}\n", base=NO_KNOWN, files=more, known=None, ssh=ssh)


_IN = "in"
ROWS = (
    _named("known hosts, absent file", "<home>/absent", ssh=HOST_KEY),
    Row("known hosts, absent file beside ~/.ssh/known_hosts", f"{_FILE}<home>/absent\n", base=NO_KNOWN, known=None, files={".ssh/known_hosts": KNOWN}, own_files=True, ssh=HOST_KEY),
    Row("known hosts, a directory", f"{_FILE}<home>/.ssh\n", base=NO_KNOWN, ssh=HOST_KEY),
    Row("known hosts, none beside ~/.ssh/known_hosts", f"{_FILE}none\n", base=NO_KNOWN, files={".ssh/known_hosts": KNOWN}, own_files=True, ssh=HOST_KEY),
    _named("known hosts, /dev/null", "/dev/null", ssh=HOST_KEY),
    _named("known hosts, two files, in the second", "<home>/one <home>/two", one="", two=KNOWN, ssh=_IN),
    _named("known hosts, the first of two absent", "<home>/one <home>/two", two=KNOWN, ssh=_IN),
    _named("known hosts, changed in the first of two", "<home>/one <home>/two", one="[127.0.0.1]:<port> <key.other>\n", two=KNOWN, ssh=_IN),
    Row("known hosts, a name with spaces", f'{_FILE}"<home>/known hosts"\n', base=NO_KNOWN, files={"known hosts": KNOWN}),
    Row("known hosts, two names with spaces", f'{_FILE}"<home>/a b" "<home>/c d"\n', base=NO_KNOWN, files={"a b": "", "c d": KNOWN}),
    Row("known hosts, %k", f"{_FILE}<home>/known.%k\n", base=NO_KNOWN, files={"known.mgmt": KNOWN}),
    Row("known hosts, %k of an alias", f"HostKeyAlias a\n{_FILE}<home>/known.%k\n", base=NO_KNOWN, files={"known.a": "a <key.host>\n"}),
    Row("known hosts, %h and %p", f"{_FILE}<home>/known.%h.%p\n", base=NO_KNOWN, files={"known.127.0.0.1.<port>": KNOWN}),
    Row("known hosts, ${VAR}", f"{_FILE}${{PLACE}}/hosts\n", base=NO_KNOWN, files={"hosts": KNOWN}, env={"PLACE": "<home>"}),
    Row("known hosts, ~ and %d", f"{_FILE}~/one %d/two\n", base=NO_KNOWN, files={"two": KNOWN}),
    Row("known hosts, the default file", base=NO_KNOWN, files={".ssh/known_hosts": KNOWN}, own_files=True),
    Row("known hosts, the second default file", base=NO_KNOWN, files={".ssh/known_hosts2": KNOWN}, own_files=True),
    Row("a line =======", known="=======\n" + KNOWN),
    Row("a line with NUL bytes", known="[127.0.0.1]:<port> \0\0\0\n" + KNOWN),
    Row("a line with Latin-1 bytes", known="h\xf4te <key.other>\n# caf\xe9\n" + KNOWN),
    Row("a line with bad base64", known="[127.0.0.1]:<port> ssh-ed25519 AAAA!!!!\n" + KNOWN),
    Row("a line cut short", known=KNOWN + "[127.0.0.1]:<port> ssh-ed25519 AAAAC3NzaC1l"),
    Row("a line of an unknown type", known="[127.0.0.1]:<port> ssh-future AAAA\n" + KNOWN),
    Row("a line of an unknown marker", known="@future [127.0.0.1]:<port> <key.other>\n" + KNOWN),
    Row("only a bad line", known="[127.0.0.1]:<port> ssh-ed25519 AAAA!!!!\n", ssh=HOST_KEY),
    Row("a negated line that is bad", known="!127.0.0.1,=======\n" + KNOWN),
    Row("a bad line that revokes", known="@revoked * ssh-ed25519 AAAA!!!!\n" + KNOWN),
    Row("comments, blank lines, tabs", known="# a\n\n \t\n[127.0.0.1]:<port>\t<key.host>\ta comment\n"),
    Row("CRLF in known hosts", known=KNOWN.replace("\n", "\r\n")),
    Row("no line end at the end", known=KNOWN.rstrip("\n")),
    Row("hashed name", known="<hashed> <key.host>\n"),
    Row("hashed name, changed key", known="<hashed> <key.other>\n", ssh=HOST_KEY),
    Row("hashed name of another host", known="|1|AAAAAAAAAAAAAAAAAAAAAAAAAAA=|AAAAAAAAAAAAAAAAAAAAAAAAAAA= <key.other>\n" + KNOWN),
    Row("wildcard", known="[127.0.0.*]:* <key.host>\n"),
    Row("wildcard without a port", known="127.* <key.host>\n"),
    Row("wildcard of one letter", known="[127.0.0.?]:<port> <key.host>\n"),
    Row("negated", known="[127.0.0.*]:*,![127.0.0.1]:<port> <key.host>\n", ssh=HOST_KEY),
    Row("negated of another", known="[127.0.0.*]:*,![127.0.0.2]:<port> <key.host>\n"),
    Row("several names", known="mgmt,[127.0.0.1]:<port>,other <key.host>\n"),
    Row("name in capitals", known="[LOCALHOST]:<port> <key.host>\n", config="HostName localhost\n"),
    Row("host in capitals", known="[localhost]:<port> <key.host>\n", config="HostName LOCALHOST\n"),
    Row("everything default", base=NO_KEY.replace("  UserKnownHostsFile <home>/known\n", ""), keys=_DEFAULT, files={".ssh/known_hosts": KNOWN}, own_files=True),
    Row("no config at all", base="", host="<user>@127.0.0.1:<port>", keys=_DEFAULT, files={".ssh/known_hosts": KNOWN}, own_files=True),
)  # fmt: skip
