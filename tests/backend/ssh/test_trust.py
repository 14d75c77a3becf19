"""Whom we trust: each row is put to OpenSSH's own client and to us, with one sshd; both have to say what the row says."""

import base64
import hashlib
import hmac
import os
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import asyncssh
import pytest
from support import openssh
from support.openssh import certificate, key, public, ssh

from gateway.backend.ssh.ask import ask
from gateway.backend.ssh.settings import Destination, SshSettings
from gateway.backend.ssh.trust import trust
from gateway.config import Cluster, Limits
from gateway.errors import HopFailed

TRUSTED, REFUSED = "trusted", "refused"


@dataclass(frozen=True)
class Row:
    """`user` and `everyone` are the texts of the two known hosts files, `config` is lines of ssh_config."""

    what: str
    expected: str
    user: str = ""
    config: str = ""
    everyone: str = ""
    server: str = "plain"


HOST = "[localhost]:{port}"
ROWS = [
    # the one name
    Row("the name with its port", TRUSTED, HOST + " {key}"),
    Row("nothing known", REFUSED),
    Row("another key", REFUSED, HOST + " {other}"),
    Row("another key, and the server's for its address", REFUSED, HOST + " {other}\n[127.0.0.1]:{port} {key}"),
    Row("only the address's line", REFUSED, "[127.0.0.1]:{port} {key}"),
    Row("only the address's line, without its port", REFUSED, "127.0.0.1 {key}"),
    Row("only the address's line, CheckHostIP", REFUSED, "[127.0.0.1]:{port} {key}", "CheckHostIP yes"),
    Row("the name without its port", TRUSTED, "localhost {key}"),
    Row("the name without its port, and another key with it", REFUSED, "localhost {key}\n" + HOST + " {other}"),
    Row("another key without the port", TRUSTED, "localhost {other}\n" + HOST + " {key}"),
    Row("only another key without the port", REFUSED, "localhost {other}"),
    Row("another port", REFUSED, "[localhost]:1 {key}"),
    Row("two keys of the name", TRUSTED, HOST + " {other}\n" + HOST + " {key}"),
    Row("the global file", TRUSTED, everyone=HOST + " {key}"),
    Row("the server's key in the global file, another in the user's", TRUSTED, HOST + " {other}", everyone=HOST + " {key}"),
    Row("another key in the global file, none in the user's", REFUSED, "localhost {key}", everyone=HOST + " {other}"),
    Row("a name in capitals", TRUSTED, "[LOCALHOST]:{port} {key}"),
    Row("a host in capitals", TRUSTED, HOST + " {key}", "HostName LocalHost"),
    Row("an address as the name", TRUSTED, "[127.0.0.1]:{port} {key}", "HostName 127.0.0.1"),
    Row("a line of the name, an address as the host", REFUSED, HOST + " {key}", "HostName 127.0.0.1"),
    # the alias
    Row("the alias", TRUSTED, "a {key}", "HostKeyAlias a"),
    Row("the alias, only the address's line", REFUSED, "[127.0.0.1]:{port} {key}", "HostKeyAlias a"),
    Row("the alias, only the host's line", REFUSED, HOST + " {key}", "HostKeyAlias a"),
    Row("the alias with a port", REFUSED, "[a]:{port} {key}", "HostKeyAlias a"),
    Row("the alias with a port in itself", TRUSTED, "[a]:{port} {key}", "HostKeyAlias [a]:{port}"),
    Row("the alias, another key for it", REFUSED, "a {other}\n" + HOST + " {key}", "HostKeyAlias a"),
    Row("an alias in capitals", TRUSTED, "a {key}", "HostKeyAlias A"),
    Row("a hashed alias in capitals", REFUSED, "{hashed:A} {key}", "HostKeyAlias A"),
    Row("a hashed alias, asked for in capitals", TRUSTED, "{hashed:a} {key}", "HostKeyAlias A"),
    Row("the alias, an authority of the address", REFUSED, "@cert-authority [127.0.0.1]:{port} {ca}", "HostKeyAlias a", server="cert"),
    # the syntax of names
    Row("a pattern", TRUSTED, "[local*]:* {key}"),
    Row("everybody", TRUSTED, "* {key}"),
    Row("a pattern of single letters", TRUSTED, "[localhos?]:{port} {key}"),
    Row("a pattern that needs a letter more", REFUSED, "[localhost?]:{port} {key}"),
    Row("many stars", TRUSTED, "*l*o*c*a*l*h*o*s*t*:*{port}* {key}"),
    Row("everybody but the host with its port", TRUSTED, "*,![localhost]:* {key}"),
    Row("everybody but the host", REFUSED, "*,![localhost]:*,!localhost {key}"),
    Row("the host, and then everybody but the host", REFUSED, HOST + ",!*local* {key}"),
    Row("the host, and everybody but another", TRUSTED, "*,!other {key}"),
    Row("nobody but", REFUSED, "!other {key}"),
    Row("brackets are no set of letters", REFUSED, "[localhost] {key}"),
    Row("several names", TRUSTED, "one," + HOST + ",two {key}"),
    Row("a hashed name", TRUSTED, "{hashed:[localhost]:{port}} {key}"),
    Row("another hashed name", REFUSED, "{hashed:[localhost]:1} {key}"),
    Row("the hashed name without its port", TRUSTED, "{hashed:localhost} {key}"),
    Row("a hashed name of another kind", REFUSED, "|2|c2FsdA==|aGFzaA== {key}"),
    Row("a broken hash before", TRUSTED, "|1|zzz {key}\n" + HOST + " {key}"),
    Row("a name too long before", REFUSED, "x" * 1100 + "," + HOST + " {key}"),
    Row("a name too long behind", REFUSED, HOST + "," + "x" * 1100 + " {key}"),
    # the syntax of lines
    Row("comments and blanks", TRUSTED, "# a\n\n  \t\n \t" + HOST + " \t {key} \t and a comment\n"),
    Row("CRLF", TRUSTED, "# a\r\n\r\n" + HOST + " {key}\r\n"),
    Row("CRLF behind a comment", TRUSTED, HOST + " {key} words\r\n"),
    Row("no line end", TRUSTED, "other {other}\n" + HOST + " {key}"),
    Row("commented out", REFUSED, "#" + HOST + " {key}"),
    Row("a comment for the key", REFUSED, HOST + " #{key}"),
    Row("a BOM before the name", REFUSED, "\ufeff" + HOST + " {key}"),
    Row("a BOM before a comment", TRUSTED, "\ufeff# a\n" + HOST + " {key}"),
    Row("Latin-1", TRUSTED, "# \udce9\n\udce9,h\udce9 {other} \udce9\n" + HOST + " {key} \udce9"),
    Row("a merge conflict", TRUSTED, "<<<<<<<\n=======\n" + HOST + " {key}\n>>>>>>> x y z"),
    Row("NUL bytes before", TRUSTED, "\0\0\0\n" + HOST + " {key}"),
    Row("NUL bytes on the line", REFUSED, "\0\0\0" + HOST + " {key}"),
    Row("NUL bytes behind the key", TRUSTED, HOST + " {key}\0\0"),
    Row("a NUL byte in the key", REFUSED, HOST + " {key:60}\0{key}"),
    Row("a NUL byte behind a revoked key", REFUSED, "@revoked * {key}\0\n" + HOST + " {key}"),
    Row("a key cut off", REFUSED, HOST + " {key:60}"),
    Row("a key cut off before the whole", TRUSTED, HOST + " {key:60}\n" + HOST + " {key}"),
    Row("a key cut off with its port, whole without", TRUSTED, HOST + " {key:60}\nlocalhost {key}"),
    Row("a key of another type than its name", REFUSED, HOST + " {key-as:ssh-rsa}"),
    Row("a key that has the name of a signature", TRUSTED, HOST + " {rsa-as:rsa-sha2-512}", server="rsa"),
    Row("an unknown type", REFUSED, HOST + " {key-as:ssh-foo}"),
    Row("an unknown type before", TRUSTED, HOST + " ssh-foo AAAA\n" + HOST + " {key}"),
    Row("a DSA key with its port, the right key without", TRUSTED, HOST + " {dsa}\nlocalhost {key}"),
    Row("a certificate for a key", REFUSED, HOST + " {cert}\nlocalhost {key}"),
    Row("an unknown marker", REFUSED, "@trusted " + HOST + " {key}"),
    Row("a marker in capitals", TRUSTED, "@REVOKED * {key}\n" + HOST + " {key}"),
    Row("two markers", TRUSTED, "@revoked @revoked * {key}\n" + HOST + " {key}"),
    Row("a marker without anything", TRUSTED, "@revoked\n" + HOST + " {key}"),
    # files
    Row("a file that is absent", REFUSED, config="UserKnownHostsFile {dir}/absent"),
    Row("no file", REFUSED, config="UserKnownHostsFile none"),
    Row("/dev/null", REFUSED, config="UserKnownHostsFile /dev/null"),
    Row("a directory", REFUSED, config="UserKnownHostsFile {dir}"),
    Row("two files, the first absent", TRUSTED, HOST + " {key}", "UserKnownHostsFile {dir}/absent {dir}/user"),
    Row("a file whose name has a token", TRUSTED, "us {key}", "UserKnownHostsFile {dir}/%ker\nHostKeyAlias us"),
    Row("no file of the user's, the global", TRUSTED, "", "UserKnownHostsFile none", HOST + " {key}"),
    # revoked lines
    Row("revoked", REFUSED, "@revoked " + HOST + " {key}\n" + HOST + " {key}"),
    Row("revoked behind", REFUSED, HOST + " {key}\n@revoked " + HOST + " {key}"),
    Row("revoked for everybody", REFUSED, HOST + " {key}\n@revoked * {key}"),
    Row("revoked in the global file", REFUSED, HOST + " {key}", everyone="@revoked * {key}"),
    Row("revoked for another", TRUSTED, HOST + " {key}\n@revoked other {key}"),
    Row("another key revoked", TRUSTED, HOST + " {key}\n@revoked * {other}"),
    Row("revoked without the port, known with it", TRUSTED, HOST + " {key}\n@revoked localhost {key}"),
    Row("revoked and known without the port", REFUSED, "localhost {key}\n@revoked localhost {key}"),
    Row("a certificate revoked as a line", REFUSED, HOST + " {key}\n@revoked * {cert}"),
    # certificates
    Row("an authority", TRUSTED, "@cert-authority " + HOST + " {ca}", server="cert"),
    Row("an authority without the port", TRUSTED, "@cert-authority localhost {ca}", server="cert"),
    Row("an authority of a pattern", TRUSTED, "@cert-authority * {ca}", server="cert"),
    Row("an authority, the server has no certificate", REFUSED, "@cert-authority * {ca}"),
    Row("another authority", REFUSED, "@cert-authority * {other}", server="cert"),
    Row("the host's key as its authority", REFUSED, "@cert-authority * {key}", server="cert"),
    Row("an authority's line without its marker", REFUSED, HOST + " {ca}", server="cert"),
    Row("another authority, and the key", TRUSTED, "@cert-authority * {other}\n" + HOST + " {key}", server="cert"),
    Row("no authority, and the key", TRUSTED, HOST + " {key}", server="cert"),
    Row("no authority, and the key without its port", TRUSTED, "localhost {key}", server="cert"),
    Row("the authority, and another key", TRUSTED, "@cert-authority * {ca}\n" + HOST + " {other}", server="cert"),
    Row("the authority without the port, another key with it", TRUSTED, "@cert-authority localhost {ca}\n" + HOST + " {other}", server="cert"),
    Row("a certificate, the key without the port, another with it", TRUSTED, "localhost {key}\n" + HOST + " {other}", server="cert"),
    Row("the authority revoked", REFUSED, "@cert-authority * {ca}\n@revoked * {ca}\n" + HOST + " {key}", server="cert"),
    Row("the authority revoked in the global file", REFUSED, "@cert-authority * {ca}", "", "@revoked * {ca}", "cert"),
    Row("the certificate's key revoked", REFUSED, "@cert-authority * {ca}\n@revoked * {key}", server="cert"),
    Row("the authority under the alias", REFUSED, "@cert-authority a {ca}", "HostKeyAlias a", server="cert"),
    Row("the authority under the alias that the certificate has", TRUSTED, "@cert-authority alias {ca}", "HostKeyAlias alias", server="cert"),
    Row("a host in capitals, and a certificate", TRUSTED, "@cert-authority * {ca}", "HostName LOCALHOST", server="cert"),
    Row("an alias in capitals, and a certificate", TRUSTED, "@cert-authority * {ca}", "HostKeyAlias ALIAS", server="cert"),
    Row("expired", REFUSED, "@cert-authority * {ca}", server="expired"),
    Row("expired, and the key", TRUSTED, "@cert-authority * {ca}\n" + HOST + " {key}", server="expired"),
    Row("expired, and another key", REFUSED, "@cert-authority * {ca}\n" + HOST + " {other}", server="expired"),
    Row("not yet valid", REFUSED, "@cert-authority * {ca}", server="early"),
    Row("for another name", REFUSED, "@cert-authority * {ca}", server="wrong"),
    Row("for the address", REFUSED, "@cert-authority * {ca}", server="address"),
    Row("for a pattern", REFUSED, "@cert-authority * {ca}", server="pattern"),
    Row("for every name", TRUSTED, "@cert-authority * {ca}", server="every"),
    Row("a critical option", REFUSED, "@cert-authority * {ca}", server="critical"),
    Row("a critical option, and the key", TRUSTED, "@cert-authority * {ca}\n" + HOST + " {key}", server="critical"),
    Row("an extension", TRUSTED, "@cert-authority * {ca}", server="extension"),
    Row("signed with SHA-1", REFUSED, "@cert-authority * {rsa}", server="sha1"),
    Row("signed with SHA-2", TRUSTED, "@cert-authority * {rsa}", server="sha2"),
    Row("an algorithm that is not allowed", REFUSED, "@cert-authority * {rsa}", "CASignatureAlgorithms ssh-ed25519", server="sha2"),
    Row("an RSA key and its certificate", TRUSTED, "@cert-authority * {ca}", server="rsa-cert"),
    # several keys
    Row("several keys, the last known", TRUSTED, HOST + " {rsa}", server="many"),
    Row("several keys, a known one and another", TRUSTED, HOST + " {rsa}\n" + HOST + " {other}", "HostKeyAlgorithms rsa-sha2-512,ssh-ed25519", server="many"),
    Row("several keys, the first of the list not the known", REFUSED, HOST + " {rsa}", "HostKeyAlgorithms ssh-ed25519,rsa-sha2-512", server="many"),
    Row("several keys, the known without its port", REFUSED, "localhost {rsa}", server="many"),
    Row("several keys, another of the first type", REFUSED, HOST + " {other}\n" + HOST + " {rsa}", server="many"),
    Row("several keys, the first revoked", TRUSTED, "@revoked * {key}\n" + HOST + " {key}\n" + HOST + " {rsa}", server="many"),
    Row("several keys, an elliptic one", TRUSTED, HOST + " {ecdsa}", server="many"),
    Row("a key of a type that the server lacks", REFUSED, HOST + " {rsa}"),
    Row("RSA long enough", TRUSTED, HOST + " {rsa}", "RequiredRSASize 2048", server="rsa"),
    Row("RSA too short", REFUSED, HOST + " {rsa}", "RequiredRSASize 3072", server="rsa"),
    Row("RSA too short in a certificate", REFUSED, "@cert-authority * {ca}", "RequiredRSASize 3072", server="rsa-cert"),
    # RevokedHostKeys
    Row("a list with the key", REFUSED, HOST + " {key}", "RevokedHostKeys {revoked:# a\n\n {key} a\n}"),
    Row("a list with another key", TRUSTED, HOST + " {key}", "RevokedHostKeys {revoked:# a\n\n{other}\n}"),
    Row("a list with CRLF", REFUSED, HOST + " {key}", "RevokedHostKeys {revoked:{key}\r\n}"),
    Row("a list with CRLF between", REFUSED, HOST + " {key}", "RevokedHostKeys {revoked:{other}\r\n\r\n}"),
    Row("a list with a bad line", REFUSED, HOST + " {key}", "RevokedHostKeys {revoked:{other}\nwhat\n}"),
    Row("a list with a key cut off", REFUSED, HOST + " {key}", "RevokedHostKeys {revoked:{other:60}\n}"),
    Row("an empty list", TRUSTED, HOST + " {key}", "RevokedHostKeys {revoked:}"),
    Row("a list that is absent", REFUSED, HOST + " {key}", "RevokedHostKeys {dir}/absent"),
    Row("a list that is a directory", REFUSED, HOST + " {key}", "RevokedHostKeys {dir}"),
    Row("a list that is /dev/null", TRUSTED, HOST + " {key}", "RevokedHostKeys /dev/null"),
    Row("no list", TRUSTED, HOST + " {key}", "RevokedHostKeys none"),
    Row("a list with the authority", REFUSED, "@cert-authority * {ca}", "RevokedHostKeys {revoked:{ca}\n}", server="cert"),
    Row("a list with the authority, and the key", REFUSED, HOST + " {key}", "RevokedHostKeys {revoked:{ca}\n}", server="cert"),
    Row("a list with the certificate's key", REFUSED, "@cert-authority * {ca}", "RevokedHostKeys {revoked:{key}\n}", server="cert"),
    Row("a KRL with the key", REFUSED, HOST + " {key}", "RevokedHostKeys {krl:key}"),
    Row("a KRL with another key", TRUSTED, HOST + " {key}", "RevokedHostKeys {krl:other}"),
    Row("a KRL with another key, the host unknown", REFUSED, "", "RevokedHostKeys {krl:other}"),
    Row("a KRL with the serial number", REFUSED, "@cert-authority * {ca}", "RevokedHostKeys {krl:serial: 7}", server="cert"),
    Row("a KRL with another serial number", TRUSTED, "@cert-authority * {ca}", "RevokedHostKeys {krl:serial: 8}", server="cert"),
    Row("a KRL with the key id", REFUSED, "@cert-authority * {ca}", "RevokedHostKeys {krl:id: cert}", server="cert"),
    Row("a KRL with the authority", REFUSED, "@cert-authority * {ca}", "RevokedHostKeys {krl:ca}", server="cert"),
    Row("a KRL cut off", REFUSED, HOST + " {key}", "RevokedHostKeys {krl:cut}"),
    # KnownHostsCommand
    Row("a command that prints the line", TRUSTED, "", "KnownHostsCommand {command:echo '" + HOST + " {key}'}"),
    Row("a command that prints the name without its port", REFUSED, "", "KnownHostsCommand {command:echo 'localhost {key}'}"),
    Row("a command that prints another line", REFUSED, "", "KnownHostsCommand {command:echo 'other {key}'}"),
    Row("a command that revokes", REFUSED, HOST + " {key}", "KnownHostsCommand {command:echo '@revoked * {key}'}"),
    Row("a command that prints nothing", TRUSTED, HOST + " {key}", "KnownHostsCommand {command:true}"),
    Row("a command that fails", REFUSED, HOST + " {key}", "KnownHostsCommand {command:exit 3}"),
    Row("a command that is killed", REFUSED, HOST + " {key}", "KnownHostsCommand {command:kill -9 $$}"),
    Row("a command that is absent", TRUSTED, HOST + " {key}", "KnownHostsCommand {dir}/absent"),
    Row("a command without its path", REFUSED, "", "KnownHostsCommand echo " + HOST + " {key}"),
    Row("a command that cannot be run", REFUSED, HOST + " {key}", "KnownHostsCommand {dir}/user"),
    Row("a command that gets the key", TRUSTED, "", 'KnownHostsCommand {command:echo "$1 $2 $3"} %H %t %K'),
    Row("a command that gets the key and says nothing", REFUSED, "", "KnownHostsCommand {command:true} %K"),
    Row("a command that gets the key and fails", REFUSED, HOST + " {key}", "KnownHostsCommand {command:test $1 != HOSTNAME} %I %K"),
    Row("a command that fails before the key", REFUSED, HOST + " {key}", "KnownHostsCommand {command:test $1 != ORDER} %I %K"),
    Row("a command that is not asked for an order", TRUSTED, HOST + " {key}", "KnownHostsCommand {command:test $1 != ORDER} %I %K\nHostKeyAlgorithms ssh-ed25519"),
    Row("a command that compares the fingerprint", TRUSTED, HOST + " {key}", "KnownHostsCommand {command:test $1 = NONE || test $1 = {fingerprint}} %f"),
    Row("a command that gets the alias", TRUSTED, "", 'KnownHostsCommand {command:echo "$1 {key}"} %H\nHostKeyAlias a'),
    Row("a command that orders", TRUSTED, HOST + " {rsa}", 'KnownHostsCommand {command:test $1 = HOSTNAME || echo "$2 {rsa}"} %I %H', server="many"),
    Row("a command that says its own words", TRUSTED, "", "KnownHostsCommand /bin/echo '" + HOST + "' \"{key}\" a\\ b 50%%"),
    Row("a command that gets a certificate", TRUSTED, "", "KnownHostsCommand {command:test $1 = NONE || test $1 = ssh-ed25519-cert-v01@openssh.com && echo '@cert-authority * {ca}'} %t", server="cert"),
    Row("a command and a KRL", REFUSED, "", 'KnownHostsCommand {command:echo "$1 $2 $3"} %H %t %K\nRevokedHostKeys {krl:key}'),
]  # fmt: skip


class Servers:
    """One sshd for each kind of host key, started when a row asks for it, and the keys that rows name."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self.folder = folder
        self._stack = stack
        for name, kind, bits in (("key", "ed25519", 0), ("other", "ed25519", 0), ("ca", "ed25519", 0),
                                 ("rsa", "rsa", 2048), ("ecdsa", "ecdsa", 256)):  # fmt: skip
            key(folder / name, kind, bits=bits)
        self.of = {kind: self._start(kind) for kind in ("plain", "many", "rsa", *CERTIFICATES)}

    def public(self, name: str) -> str:
        """The public key of that name."""
        return DSA if name == "dsa" else public(self.folder / name)

    def _start(self, kind: str) -> openssh.Sshd:
        named = {"plain": ["key"], "many": ["key", "ecdsa", "rsa"], "rsa": ["rsa"]}
        keys = [self.folder / name for name in named.get(kind, [])]
        folder = self.folder / f"of-{kind}"
        if keys:
            return self._stack.enter_context(openssh.sshd(folder, host_keys=keys))
        base, authority, *options = CERTIFICATES[kind]
        copy = folder / base
        folder.mkdir()
        for end in ("", ".pub"):
            Path(f"{copy}{end}").write_bytes(Path(f"{self.folder / base}{end}").read_bytes())
            Path(f"{copy}{end}").chmod(0o600)
        made = certificate(copy, self.folder / authority, *options, host=True, name=kind)
        return self._stack.enter_context(openssh.sshd(folder, host_keys=[copy], certificates=[made]))


CERTIFICATES = {
    "cert": ("key", "ca", "-n", "localhost,alias", "-z", "7"),
    "expired": ("key", "ca", "-n", "localhost", "-V", "20200101:20200102"),
    "early": ("key", "ca", "-n", "localhost", "-V", "20900101:20900102"),
    "wrong": ("key", "ca", "-n", "other"),
    "address": ("key", "ca", "-n", "127.0.0.1"),
    "pattern": ("key", "ca", "-n", "local*"),
    "every": ("key", "ca"),
    "critical": ("key", "ca", "-n", "localhost", "-O", "critical:a@example.com=b"),
    "extension": ("key", "ca", "-n", "localhost", "-O", "extension:a@example.com=b"),
    "sha1": ("key", "rsa", "-n", "localhost", "-t", "ssh-rsa"),
    "sha2": ("key", "rsa", "-n", "localhost", "-t", "rsa-sha2-256"),
    "rsa-cert": ("rsa", "ca", "-n", "localhost"),
}
DSA = asyncssh.generate_private_key("ssh-dss").export_public_key().decode().strip()


@pytest.fixture(scope="module")
def servers(tmp_path_factory):
    with ExitStack() as stack:
        yield Servers(tmp_path_factory.mktemp("servers"), stack)


class Case:
    """The files of one row, with its {words} replaced."""

    def __init__(self, row: Row, servers: Servers, folder: Path) -> None:
        self.server = servers.of[row.server]
        self._servers = servers
        self._folder = folder
        for name, text in (("user", row.user), ("everyone", row.everyone)):
            (folder / name).write_bytes(os.fsencode(self._fill(text)))
        lines = ["Host mgmt", *self._fill(row.config).splitlines(), "HostName localhost", f"Port {self.server.port}",
                 f"User {self.server.user}", "AddressFamily inet", f"UserKnownHostsFile {folder}/user",
                 f"GlobalKnownHostsFile {folder}/everyone", "IdentityFile none", "IdentityAgent none"]  # fmt: skip
        self.config = folder / "config"
        self.config.write_text("\n  ".join(lines) + "\n")

    def _fill(self, text: str) -> str:
        """Replaces {word} and {word:argument}, the innermost first."""
        start, end = text.rfind("{"), -1
        if start >= 0:
            end = text.index("}", start)
            word, _, argument = text[start + 1 : end].partition(":")
            return self._fill(text[:start] + self._word(word, argument) + text[end + 1 :])
        return text

    def _word(self, word: str, argument: str) -> str:
        name = word.removesuffix("-as")
        match word:
            case "port":
                return str(self.server.port)
            case "dir":
                return str(self._folder)
            case "hashed":
                return hashed(argument)
            case "cert":
                return public(self._servers.of["cert"].folder / "key-cert")
            case "fingerprint":
                return asyncssh.import_public_key(self._servers.public("key")).get_fingerprint()
            case "krl":
                return str(self._krl(argument))
            case "revoked":
                return self._file("revoked", argument, 0o600)
            case "command":
                return self._file("command", f"#!/bin/sh\n{argument}\n", 0o700)
            case _ if word != name:
                return f"{argument} {self._servers.public(name).split()[1]}"
            case _:
                return self._servers.public(name)[: int(argument) if argument else None]

    def _file(self, name: str, text: str, mode: int) -> str:
        path = self._folder / name
        path.write_bytes(text.encode())
        path.chmod(mode)
        return str(path)

    def _krl(self, what: str) -> Path:
        path, names = self._folder / "krl", self._servers.folder
        spec = self._folder / "spec"
        spec.write_text(
            f"{what}\n" if ":" in what else f"key: {self._servers.public('key' if what == 'cut' else what)}\n"
        )
        openssh._keygen("-k", "-f", str(path), "-s", f"{names}/ca.pub", str(spec))
        if what == "cut":
            path.write_bytes(path.read_bytes()[:-10])
        return path

    async def settings(self) -> SshSettings:
        """What ssh -G says of the host."""
        path = Path("/nonexistent")
        cluster = Cluster("default", "mgmt", path, path, "", "", "plain", ssh_config=str(self.config))
        return await ask(cluster, Destination("mgmt"), Limits())


def hashed(name: str) -> str:
    salt = os.urandom(20)
    digest = hmac.new(salt, name.encode(), hashlib.sha1).digest()
    return f"|1|{base64.b64encode(salt).decode()}|{base64.b64encode(digest).decode()}"


def ssh_says(case: Case) -> str:
    done = ssh(case.config, "-oPreferredAuthentications=none", "mgmt", "true")
    refusals = (b"Host key verification failed", b"Bad server host key", b"KnownHostsCommand failed")
    if any(one in done.stderr for one in refusals):
        return REFUSED
    assert b": Permission denied (" in done.stderr, done.stderr
    return TRUSTED


async def attempt(settings: SshSettings, port: int) -> str:
    """Empty where we trust the host, else the words of the refusal. Logs in nowhere."""
    trusted = await trust(settings, seconds=10)

    class Client(asyncssh.SSHClient):
        def connection_made(self, conn):
            trusted.guard(conn)

    for _ in range(3):
        try:
            await asyncssh.connect(
                "127.0.0.1", port, config=None, client_factory=Client, known_hosts=trusted.known_hosts,
                server_host_key_algs=trusted.host_key_algorithms, client_keys=None, agent_path=None, password=None,
                preferred_auth="none",
            )  # fmt: skip
        except asyncssh.PermissionDenied:
            return ""
        except asyncssh.HostKeyNotVerifiable:
            if not await trusted.look_closer(seconds=10):
                return await trusted.refusal()
    raise AssertionError("a key that is trusted is refused")


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.what)
async def test_ssh_and_we_say_the_same(row, servers, tmp_path):
    case = Case(row, servers, tmp_path)
    assert ssh_says(case) == row.expected
    try:
        refusal = await attempt(await case.settings(), case.server.port)
    except HopFailed as error:
        assert error.code == "ssh_host_key"  # noqa: PT017  # either way is fine
        refusal = error.message
    assert (REFUSED if refusal else TRUSTED) == row.expected, refusal
