"""Known hosts files: what is read of them, which names fit, what is said of the rest. test_trust.py compares with ssh."""

import asyncssh
import pytest

from gateway.backends.ssh.host_key import read_host_key
from gateway.backends.ssh.known_hosts import read
from gateway.backends.ssh.known_hosts_command import split

KEY = asyncssh.generate_private_key("ssh-ed25519")
LINE = KEY.export_public_key("openssh").decode().strip()
OTHER = asyncssh.generate_private_key("ssh-ed25519").export_public_key("openssh").decode().strip()


def found(names: str, name: str) -> bool:
    return bool(read("file", f"{names} {LINE}\n".encode()).find(name)[0])


@pytest.mark.parametrize(
    ("names", "name", "fits"),
    [
        ("host", "host", True),
        ("host", "hos", False),
        ("host", "hosts", False),
        ("HOST", "host", True),
        ("h*t", "host", True),
        ("h*t", "hostt", True),
        ("h*t", "hosts", False),
        ("h??t", "host", True),
        ("h?t", "host", False),
        ("**", "host", True),
        ("[host]:22", "host", False),
        ("[host]:2223", "[host]:2223", True),
        ("[host]:*", "[host]:2223", True),
        ("[a-z]ost", "host", False),
        ("a,host,b", "host", True),
        ("!host,*", "host", False),
        ("*,!host", "host", False),
        ("*,!hos", "host", True),
        ("h\\ost", "host", False),
        (".*", "host", False),
        ("*a*a*a*a*a*a*a*a*a*a*a*a*a*b", "a" * 250, False),
    ],
)
def test_a_name_fits_a_pattern_as_in_ssh(names, name, fits):
    assert found(names, name) is fits


def test_a_hashed_name_fits_only_as_it_is():
    hashed = "|1|F1E1KeoE/eEWhi10WpGv4OdiO6Y=|3988QV0VE8wmZL7suNrYQLITLCg="  # ssh-keygen -H of 192.168.1.61
    assert found(hashed, "192.168.1.61")
    assert not found(hashed, "192.168.1.62")


def test_each_bad_line_is_named_and_the_good_ones_are_read():
    good = f"host {LINE}".encode()
    bad = [
        b"=======",
        b"host",
        b"host ssh-ed25519",
        f"host {LINE[:59]}".encode(),
        f"host ssh-rsa {LINE.split()[1]}".encode(),
        f"@trusted host {LINE}".encode(),
        f"|1|zzz {LINE}".encode(),
        f"|2|F1E1KeoE/eEWhi10WpGv4OdiO6Y=|3988QV0VE8wmZL7suNrYQLITLCg= {LINE}".encode(),
        b"\0\0\0" + good,
        b"\xff\xfe\x00h\x00o\x00s\x00t",
    ]
    file = read("file", b"\n".join([good, b"", b"# words", *bad, good]))
    assert [number for number, _ in file.bad] == list(range(4, 4 + len(bad)))
    assert [line.where for line in file.find("host")[0]] == ["file:1", f"file:{4 + len(bad)}"]


def test_a_key_that_cannot_be_read_is_named_with_its_reason_where_it_has_the_name():
    dsa = asyncssh.generate_private_key("ssh-dss").export_public_key("openssh").decode().strip()
    file = read("file", f"host {dsa}\nother {dsa}\n".encode())
    assert file.find("host") == ([], [(1, "a key that cannot be read: ssh-dss is no type of host key")])


def test_the_other_names_of_a_key_are_found():
    file = read("file", f"host {OTHER}\na,b {LINE}\n@revoked c {LINE}\n\xe9 {LINE}\n".encode("latin-1"))
    assert list(file.elsewhere(KEY)) == ["file:2 (a,b)", "file:4 (\\xe9)"]


@pytest.mark.parametrize("blob", [b"", b"\0\0", b"\0\0\0\7ssh-rsa", b"\0\0\0\7ssh-dss\0\0\0\0", b"\xff" * 40,
                                  b"\0\0\0\x0bssh-ed25519\0\0\0\1a", b"\0\0\0\3foo", b"\0\0\0\1\xe9"])  # fmt: skip
def test_what_is_no_host_key_is_refused_by_name(blob):
    with pytest.raises(ValueError, match=r"."):
        read_host_key(blob)


def test_a_certificate_with_a_changed_byte_is_no_certificate():
    authority = asyncssh.generate_private_key("ssh-ed25519")
    blob = authority.generate_host_certificate(KEY, "id", principals=["host"]).public_data
    assert read_host_key(blob).certificate
    with pytest.raises(ValueError, match="false signature"):
        read_host_key(blob.replace(b"host", b"hose"))


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("/bin/a b\t c ", ["/bin/a", "b", "c"]),
        ("'a b' \"c d\" e'f 'g", ["a b", "c d", "ef g"]),
        (r"a\ b 'c\ d' \x \\ \'", ["a b", r"c\ d", r"\x", "\\", "'"]),
        (r"'it\'s' " + '"say \\"so\\""', ["it's", 'say "so"']),
        ("'' x", ["", "x"]),
        ("a 'b", []),
        (r"a 'b\'", []),
        ("", []),
        ("$HOME `a` ;", ["$HOME", "`a`", ";"]),
    ],
)
def test_a_command_line_is_split_as_ssh_splits_it(line, words):
    assert split(line) == words
