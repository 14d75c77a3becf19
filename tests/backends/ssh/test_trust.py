"""Whom we trust: each row is put to us and to OpenSSH's own client, with one sshd; both have to say what the row says."""

import asyncio
import base64
import hashlib
import hmac
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace

import asyncssh
import pytest
import structlog
from support.openssh import Sshd, certificate, key, public, rsa_key, ssh, sshd

from gateway.backends.ssh.ask import ask
from gateway.backends.ssh.settings import Destination, SshSettings
from gateway.backends.ssh.trust import Trust, trust
from gateway.errors import HopFailed
from gateway.settings.config import Cluster, Limits

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
PROXY = f"ProxyCommand {sys.executable} -S {{dir}}/proxy {{port}}"
PROXY_PROGRAM = """
import os, socket, sys, threading
host = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
threading.Thread(target=lambda: [os.write(1, data) for data in iter(lambda: host.recv(65536), b"")], daemon=True).start()
for data in iter(lambda: os.read(0, 65536), b""):
    host.sendall(data)
"""
ROWS = [
    # the one name
    Row("the name with its port", TRUSTED, HOST + " {key}"),
    Row("nothing known", REFUSED),
    Row("another key", REFUSED, HOST + " {other}"),
    Row("another key, and the server's for its address", REFUSED, HOST + " {other}\n[127.0.0.1]:{port} {key}"),
    Row("only the address's line", REFUSED, "[127.0.0.1]:{port} {key}"),
    Row("the name without its port", TRUSTED, "localhost {key}"),
    Row("the name without its port, and another key with it", REFUSED, "localhost {key}\n" + HOST + " {other}"),
    Row("another key without the port", TRUSTED, "localhost {other}\n" + HOST + " {key}"),
    Row("only another key without the port", REFUSED, "localhost {other}"),
    Row("the global file", TRUSTED, everyone=HOST + " {key}"),
    Row("the server's key in the global file, another in the user's", TRUSTED, HOST + " {other}", everyone=HOST + " {key}"),
    Row("another key in the global file, none in the user's", REFUSED, "localhost {key}", everyone=HOST + " {other}"),
    Row("a name in capitals", TRUSTED, "[LOCALHOST]:{port} {key}"),
    Row("a host in capitals", TRUSTED, HOST + " {key}", "HostName LocalHost"),
    Row("port 22", TRUSTED, "localhost {key}", "Port 22\n" + PROXY),
    Row("port 22, and its number on the line", REFUSED, "[localhost]:22 {key}", "Port 22\n" + PROXY),
    # the alias
    Row("the alias", TRUSTED, "a {key}", "HostKeyAlias a"),
    Row("the alias, only the address's line", REFUSED, "[127.0.0.1]:{port} {key}", "HostKeyAlias a"),
    Row("the alias, only the host's line", REFUSED, HOST + " {key}", "HostKeyAlias a"),
    Row("the alias with a port", REFUSED, "[a]:{port} {key}", "HostKeyAlias a"),
    Row("the alias, another key for it", REFUSED, "a {other}\n" + HOST + " {key}", "HostKeyAlias a"),
    Row("an alias in capitals", TRUSTED, "a {key}", "HostKeyAlias A"),
    Row("a hashed alias, asked for in capitals", TRUSTED, "{hashed:a} {key}", "HostKeyAlias A"),
    Row("the alias, an authority of the address", REFUSED, "@cert-authority [127.0.0.1]:{port} {ca}", "HostKeyAlias a", server="cert"),
    # the syntax of names
    Row("a pattern", TRUSTED, "[local*]:* {key}"),
    Row("everybody", TRUSTED, "* {key}"),
    Row("everybody but the host", REFUSED, "*,![localhost]:*,!localhost {key}"),
    Row("brackets are no set of letters", REFUSED, "[localhost] {key}"),
    Row("a hashed name", TRUSTED, "{hashed:[localhost]:{port}} {key}"),
    Row("a broken hash before", TRUSTED, "|1|zzz {key}\n" + HOST + " {key}"),
    # the syntax of lines
    Row("comments and blanks", TRUSTED, "# a\n\n  \t\n \t" + HOST + " \t {key} \t and a comment\n"),
    Row("CRLF", TRUSTED, "# a\r\n\r\n" + HOST + " {key}\r\n"),
    Row("a BOM before the name", REFUSED, "\ufeff" + HOST + " {key}"),
    Row("Latin-1", TRUSTED, "# \udce9\n\udce9,h\udce9 {other} \udce9\n" + HOST + " {key} \udce9"),
    Row("a merge conflict", TRUSTED, "<<<<<<<\n=======\n" + HOST + " {key}\n>>>>>>> x y z"),
    Row("a NUL byte in the key", REFUSED, HOST + " {key:60}\0{key}"),
    Row("a NUL byte behind a revoked key", REFUSED, "@revoked * {key}\0\n" + HOST + " {key}"),
    Row("a key cut off", REFUSED, HOST + " {key:60}"),
    Row("a key that has the name of a signature", TRUSTED, HOST + " {rsa-as:rsa-sha2-512}", server="rsa"),
    Row("a DSA key with its port, the right key without", TRUSTED, HOST + " {dsa}\nlocalhost {key}"),
    Row("a certificate for a key", REFUSED, HOST + " {cert}\nlocalhost {key}"),
    Row("an unknown marker", REFUSED, "@trusted " + HOST + " {key}"),
    # files
    Row("a file that is absent", REFUSED, config="UserKnownHostsFile {dir}/absent"),
    Row("/dev/null", REFUSED, config="UserKnownHostsFile /dev/null"),
    Row("a directory", REFUSED, config="UserKnownHostsFile {dir}"),
    Row("a file whose name has a token", TRUSTED, "us {key}", "UserKnownHostsFile {dir}/%ker\nHostKeyAlias us"),
    # revoked lines
    Row("revoked", REFUSED, "@revoked " + HOST + " {key}\n" + HOST + " {key}"),
    Row("revoked for everybody", REFUSED, HOST + " {key}\n@revoked * {key}"),
    Row("revoked in the global file", REFUSED, HOST + " {key}", everyone="@revoked * {key}"),
    Row("revoked without the port, known with it", TRUSTED, HOST + " {key}\n@revoked localhost {key}"),
    Row("a certificate revoked as a line", REFUSED, HOST + " {key}\n@revoked * {cert}"),
    # certificates
    Row("an authority", TRUSTED, "@cert-authority " + HOST + " {ca}", server="cert"),
    Row("an authority without the port", TRUSTED, "@cert-authority localhost {ca}", server="cert"),
    Row("an authority, the server has no certificate", REFUSED, "@cert-authority * {ca}"),
    Row("the host's key as its authority", REFUSED, "@cert-authority * {key}", server="cert"),
    Row("another authority, and the key", TRUSTED, "@cert-authority * {other}\n" + HOST + " {key}", server="cert"),
    Row("no authority, and the key", TRUSTED, HOST + " {key}", server="cert"),
    Row("a certificate, the key without the port, another with it", TRUSTED, "localhost {key}\n" + HOST + " {other}", server="cert"),
    Row("the authority revoked", REFUSED, "@cert-authority * {ca}\n@revoked * {ca}\n" + HOST + " {key}", server="cert"),
    Row("the authority revoked in the global file", REFUSED, "@cert-authority * {ca}", "", "@revoked * {ca}", "cert"),
    Row("the authority under the alias that the certificate has", TRUSTED, "@cert-authority alias {ca}", "HostKeyAlias alias", server="cert"),
    Row("an alias in capitals, and a certificate", TRUSTED, "@cert-authority * {ca}", "HostKeyAlias ALIAS", server="cert"),
    Row("expired", REFUSED, "@cert-authority * {ca}", server="expired"),
    Row("expired, and the key", TRUSTED, "@cert-authority * {ca}\n" + HOST + " {key}", server="expired"),
    Row("for another name", REFUSED, "@cert-authority * {ca}", server="wrong"),
    Row("for a pattern", REFUSED, "@cert-authority * {ca}", server="pattern"),
    Row("for every name", TRUSTED, "@cert-authority * {ca}", server="every"),
    Row("a critical option", REFUSED, "@cert-authority * {ca}", server="critical"),
    Row("a critical option, and the key", TRUSTED, "@cert-authority * {ca}\n" + HOST + " {key}", server="critical"),
    Row("signed with SHA-1", REFUSED, "@cert-authority * {rsa}", server="sha1"),
    Row("signed with SHA-2", TRUSTED, "@cert-authority * {rsa}", server="sha2"),
    # several keys
    Row("several keys, the last known", TRUSTED, HOST + " {rsa}", server="many"),
    Row("several keys, a known one and another", TRUSTED, HOST + " {rsa}\n" + HOST + " {other}", "HostKeyAlgorithms rsa-sha2-512,ssh-ed25519", server="many"),
    Row("several keys, the last known, one algorithm more", TRUSTED, HOST + " {rsa}", "HostKeyAlgorithms +ssh-rsa", server="many"),
    Row("several keys, the last known, some algorithms less", TRUSTED, HOST + " {rsa}", "HostKeyAlgorithms -ssh-ed25519*,sk-*", server="many"),
    Row("several keys, the first of the list not the known", REFUSED, HOST + " {rsa}", "HostKeyAlgorithms ssh-ed25519,rsa-sha2-512", server="many"),
    Row("several keys, the first revoked", TRUSTED, "@revoked * {key}\n" + HOST + " {key}\n" + HOST + " {rsa}", server="many"),
    Row("an old server, SHA-1 named", TRUSTED, HOST + " {rsa}", "HostKeyAlgorithms +ssh-rsa", server="old"),
    Row("RSA long enough", TRUSTED, HOST + " {rsa}", "RequiredRSASize 2048", server="rsa"),
    Row("RSA too short", REFUSED, HOST + " {rsa}", "RequiredRSASize 3072", server="rsa"),
    # RevokedHostKeys
    Row("a list with the key", REFUSED, HOST + " {key}", "RevokedHostKeys {revoked:# a\n\n {key} a\n}"),
    Row("a list with another key", TRUSTED, HOST + " {key}", "RevokedHostKeys {revoked:# a\n\n{other}\n}"),
    Row("a list with a bad line", REFUSED, HOST + " {key}", "RevokedHostKeys {revoked:{other}\nwhat\n}"),
    Row("a list that is absent", REFUSED, HOST + " {key}", "RevokedHostKeys {dir}/absent"),
    Row("a list that is /dev/null", TRUSTED, HOST + " {key}", "RevokedHostKeys /dev/null"),
    Row("a list with the authority", REFUSED, "@cert-authority * {ca}", "RevokedHostKeys {revoked:{ca}\n}", server="cert"),
    Row("a KRL with the key", REFUSED, HOST + " {key}", "RevokedHostKeys {krl:key}"),
    Row("a KRL with another key", TRUSTED, HOST + " {key}", "RevokedHostKeys {krl:other}"),
    Row("a KRL with another key, the host unknown", REFUSED, "", "RevokedHostKeys {krl:other}"),
    Row("a KRL with the serial number", REFUSED, "@cert-authority * {ca}", "RevokedHostKeys {krl:serial: 7}", server="cert"),
    Row("a KRL with the key id", REFUSED, "@cert-authority * {ca}", "RevokedHostKeys {krl:id: cert}", server="cert"),
    Row("a KRL cut off", REFUSED, HOST + " {key}", "RevokedHostKeys {krl:cut}"),
    # KnownHostsCommand
    Row("a command that prints the line", TRUSTED, "", "KnownHostsCommand {command:echo '" + HOST + " {key}'}"),
    Row("a command that prints the name without its port", REFUSED, "", "KnownHostsCommand {command:echo 'localhost {key}'}"),
    Row("a command that revokes", REFUSED, HOST + " {key}", "KnownHostsCommand {command:echo '@revoked * {key}'}"),
    Row("a command that fails", REFUSED, HOST + " {key}", "KnownHostsCommand {command:exit 3}"),
    Row("a command that is absent", TRUSTED, HOST + " {key}", "KnownHostsCommand {dir}/absent"),
    Row("a command that nobody can look at", TRUSTED, HOST + " {key}", "KnownHostsCommand {dir}/" + "n" * 300),
    Row("a command without its path", REFUSED, "", "KnownHostsCommand echo " + HOST + " {key}"),
    Row("a command that gets the key", TRUSTED, "", 'KnownHostsCommand {command:echo "$1 $2 $3"} %H %t %K'),
    Row("a command that gets the key and fails", REFUSED, HOST + " {key}", "KnownHostsCommand {command:test $1 != HOSTNAME} %I %K"),
    Row("a command that fails before the key", REFUSED, HOST + " {key}", "KnownHostsCommand {command:test $1 != ORDER} %I %K"),
    Row("a command that is not asked for an order", TRUSTED, HOST + " {key}", "KnownHostsCommand {command:test $1 != ORDER} %I %K\nHostKeyAlgorithms ssh-ed25519"),
    Row("a command that compares the fingerprint", TRUSTED, HOST + " {key}", "KnownHostsCommand {command:test $1 = NONE || test $1 = {fingerprint}} %f"),
    Row("a command that orders", TRUSTED, HOST + " {rsa}", 'KnownHostsCommand {command:test $1 = HOSTNAME || echo "$2 {rsa}"} %I %H', server="many"),
    Row("a command that says its own words", TRUSTED, "", "KnownHostsCommand /bin/echo '" + HOST + "' \"{key}\" a\\ b 50%%"),
    Row("a command that gets a certificate", TRUSTED, "", "KnownHostsCommand {command:test $1 = NONE || test $1 = ssh-ed25519-cert-v01@openssh.com && echo '@cert-authority * {ca}'} %t", server="cert"),
]  # fmt: skip
# The same rules once more, in other spellings
MORE = [
    Row("only the address's line, without its port", REFUSED, "127.0.0.1 {key}"),
    Row("only the address's line, CheckHostIP", REFUSED, "[127.0.0.1]:{port} {key}", "CheckHostIP yes"),
    Row("another port", REFUSED, "[localhost]:1 {key}"),
    Row("two keys of the name", TRUSTED, HOST + " {other}\n" + HOST + " {key}"),
    Row("an address as the name", TRUSTED, "[127.0.0.1]:{port} {key}", "HostName 127.0.0.1"),
    Row("a line of the name, an address as the host", REFUSED, HOST + " {key}", "HostName 127.0.0.1"),
    Row("the alias with a port in itself", TRUSTED, "[a]:{port} {key}", "HostKeyAlias [a]:{port}"),
    Row("a hashed alias in capitals", REFUSED, "{hashed:A} {key}", "HostKeyAlias A"),
    Row("a pattern of single letters", TRUSTED, "[localhos?]:{port} {key}"),
    Row("a pattern that needs a letter more", REFUSED, "[localhost?]:{port} {key}"),
    Row("many stars", TRUSTED, "*l*o*c*a*l*h*o*s*t*:*{port}* {key}"),
    Row("everybody but the host with its port", TRUSTED, "*,![localhost]:* {key}"),
    Row("the host, and then everybody but the host", REFUSED, HOST + ",!*local* {key}"),
    Row("the host, and everybody but another", TRUSTED, "*,!other {key}"),
    Row("nobody but", REFUSED, "!other {key}"),
    Row("several names", TRUSTED, "one," + HOST + ",two {key}"),
    Row("another hashed name", REFUSED, "{hashed:[localhost]:1} {key}"),
    Row("the hashed name without its port", TRUSTED, "{hashed:localhost} {key}"),
    Row("a hashed name of another kind", REFUSED, "|2|c2FsdA==|aGFzaA== {key}"),
    Row("a name too long before", REFUSED, "x" * 1100 + "," + HOST + " {key}"),
    Row("a name too long behind", REFUSED, HOST + "," + "x" * 1100 + " {key}"),
    Row("CRLF behind a comment", TRUSTED, HOST + " {key} words\r\n"),
    Row("no line end", TRUSTED, "other {other}\n" + HOST + " {key}"),
    Row("commented out", REFUSED, "#" + HOST + " {key}"),
    Row("a comment for the key", REFUSED, HOST + " #{key}"),
    Row("a BOM before a comment", TRUSTED, "\ufeff# a\n" + HOST + " {key}"),
    Row("NUL bytes before", TRUSTED, "\0\0\0\n" + HOST + " {key}"),
    Row("NUL bytes on the line", REFUSED, "\0\0\0" + HOST + " {key}"),
    Row("NUL bytes behind the key", TRUSTED, HOST + " {key}\0\0"),
    Row("a key cut off before the whole", TRUSTED, HOST + " {key:60}\n" + HOST + " {key}"),
    Row("a key cut off with its port, whole without", TRUSTED, HOST + " {key:60}\nlocalhost {key}"),
    Row("a key of another type than its name", REFUSED, HOST + " {key-as:ssh-rsa}"),
    Row("an unknown type", REFUSED, HOST + " {key-as:ssh-foo}"),
    Row("an unknown type before", TRUSTED, HOST + " ssh-foo AAAA\n" + HOST + " {key}"),
    Row("a marker in capitals", TRUSTED, "@REVOKED * {key}\n" + HOST + " {key}"),
    Row("two markers", TRUSTED, "@revoked @revoked * {key}\n" + HOST + " {key}"),
    Row("a marker without anything", TRUSTED, "@revoked\n" + HOST + " {key}"),
    Row("no file", REFUSED, config="UserKnownHostsFile none"),
    Row("two files, the first absent", TRUSTED, HOST + " {key}", "UserKnownHostsFile {dir}/absent {dir}/user"),
    Row("no file of the user's, the global", TRUSTED, "", "UserKnownHostsFile none", HOST + " {key}"),
    Row("revoked behind", REFUSED, HOST + " {key}\n@revoked " + HOST + " {key}"),
    Row("revoked for another", TRUSTED, HOST + " {key}\n@revoked other {key}"),
    Row("another key revoked", TRUSTED, HOST + " {key}\n@revoked * {other}"),
    Row("revoked and known without the port", REFUSED, "localhost {key}\n@revoked localhost {key}"),
    Row("an authority of a pattern", TRUSTED, "@cert-authority * {ca}", server="cert"),
    Row("another authority", REFUSED, "@cert-authority * {other}", server="cert"),
    Row("an authority's line without its marker", REFUSED, HOST + " {ca}", server="cert"),
    Row("no authority, and the key without its port", TRUSTED, "localhost {key}", server="cert"),
    Row("the authority, and another key", TRUSTED, "@cert-authority * {ca}\n" + HOST + " {other}", server="cert"),
    Row("the authority without the port, another key with it", TRUSTED, "@cert-authority localhost {ca}\n" + HOST + " {other}", server="cert"),
    Row("the certificate's key revoked", REFUSED, "@cert-authority * {ca}\n@revoked * {key}", server="cert"),
    Row("the authority under the alias", REFUSED, "@cert-authority a {ca}", "HostKeyAlias a", server="cert"),
    Row("a host in capitals, and a certificate", TRUSTED, "@cert-authority * {ca}", "HostName LOCALHOST", server="cert"),
    Row("expired, and another key", REFUSED, "@cert-authority * {ca}\n" + HOST + " {other}", server="expired"),
    Row("not yet valid", REFUSED, "@cert-authority * {ca}", server="early"),
    Row("for the address", REFUSED, "@cert-authority * {ca}", server="address"),
    Row("an extension", TRUSTED, "@cert-authority * {ca}", server="extension"),
    Row("an algorithm that is not allowed", REFUSED, "@cert-authority * {rsa}", "CASignatureAlgorithms ssh-ed25519", server="sha2"),
    Row("an RSA key and its certificate", TRUSTED, "@cert-authority * {ca}", server="rsa-cert"),
    Row("several keys, the known without its port", REFUSED, "localhost {rsa}", server="many"),
    Row("several keys, another of the first type", REFUSED, HOST + " {other}\n" + HOST + " {rsa}", server="many"),
    Row("several keys, an elliptic one", TRUSTED, HOST + " {ecdsa}", server="many"),
    Row("a key of a type that the server lacks", REFUSED, HOST + " {rsa}"),
    Row("RSA too short in a certificate", REFUSED, "@cert-authority * {ca}", "RequiredRSASize 3072", server="rsa-cert"),
    Row("a list with CRLF", REFUSED, HOST + " {key}", "RevokedHostKeys {revoked:{key}\r\n}"),
    Row("a list with CRLF between", REFUSED, HOST + " {key}", "RevokedHostKeys {revoked:{other}\r\n\r\n}"),
    Row("a list with a key cut off", REFUSED, HOST + " {key}", "RevokedHostKeys {revoked:{other:60}\n}"),
    Row("an empty list", TRUSTED, HOST + " {key}", "RevokedHostKeys {revoked:}"),
    Row("a list that is a directory", REFUSED, HOST + " {key}", "RevokedHostKeys {dir}"),
    Row("no list", TRUSTED, HOST + " {key}", "RevokedHostKeys none"),
    Row("a list with the authority, and the key", REFUSED, HOST + " {key}", "RevokedHostKeys {revoked:{ca}\n}", server="cert"),
    Row("a list with the certificate's key", REFUSED, "@cert-authority * {ca}", "RevokedHostKeys {revoked:{key}\n}", server="cert"),
    Row("a KRL with another serial number", TRUSTED, "@cert-authority * {ca}", "RevokedHostKeys {krl:serial: 8}", server="cert"),
    Row("a KRL with the authority", REFUSED, "@cert-authority * {ca}", "RevokedHostKeys {krl:ca}", server="cert"),
    Row("a command that prints another line", REFUSED, "", "KnownHostsCommand {command:echo 'other {key}'}"),
    Row("a command that prints nothing", TRUSTED, HOST + " {key}", "KnownHostsCommand {command:true}"),
    Row("a command that is killed", REFUSED, HOST + " {key}", "KnownHostsCommand {command:kill -9 $$}"),
    Row("a command that cannot be run", REFUSED, HOST + " {key}", "KnownHostsCommand {dir}/user"),
    Row("a command that gets the key and says nothing", REFUSED, "", "KnownHostsCommand {command:true} %K"),
    Row("a command that gets the alias", TRUSTED, "", 'KnownHostsCommand {command:echo "$1 {key}"} %H\nHostKeyAlias a'),
    Row("a command and a KRL", REFUSED, "", 'KnownHostsCommand {command:echo "$1 $2 $3"} %H %t %K\nRevokedHostKeys {krl:key}'),
]  # fmt: skip


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
"""Kind of server -> the key that it has, who signed it, and ssh-keygen's options for that."""
KEYS = {"plain": ["key"], "many": ["key", "ecdsa", "rsa"], "rsa": ["rsa"], "old": ["rsa"]}
DSA = asyncssh.generate_private_key("ssh-dss").export_public_key().decode().strip()


@pytest.fixture(scope="module")
def keys(tmp_path_factory):
    """The folder with a private key for each name."""
    folder = tmp_path_factory.mktemp("keys")
    for name in ("key", "other", "ca"):
        key(folder / name)
    rsa_key(folder / "rsa")
    key(folder / "ecdsa", "ecdsa")
    certificate(folder / "key", folder / "ca", "-n", "localhost", host=True)
    return folder


@pytest.fixture(scope="module")
def server(request, keys, tmp_path_factory):
    """An sshd with the host keys of one kind."""
    folder = tmp_path_factory.mktemp("sshd")
    if request.param in KEYS:
        options = ["HostKeyAlgorithms ssh-rsa"] if request.param == "old" else []
        with sshd(folder, *options, host_keys=[keys / name for name in KEYS[request.param]]) as running:
            yield running
        return
    name, authority, *options = CERTIFICATES[request.param]
    for file in (name, f"{name}.pub"):
        shutil.copy(keys / file, folder / file)
    made = certificate(folder / name, keys / authority, *options, host=True, name=request.param)
    with sshd(folder, host_keys=[folder / name], certificates=[made]) as running:
        yield running


class Case:
    """The files of one row, with its {words} replaced."""

    def __init__(self, row: Row, server: Sshd, keys: Path, folder: Path) -> None:
        self.server = server
        self._keys = keys
        self._folder = folder
        for name, text in (("user", row.user), ("everyone", row.everyone)):
            (folder / name).write_bytes(os.fsencode(self._fill(text)))
        (folder / "proxy").write_text(PROXY_PROGRAM)
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

    def _word(self, word: str, argument: str) -> str:  # noqa: C901  # a word a line
        name = word.removesuffix("-as")
        match word:
            case "port":
                return str(self.server.port)
            case "dir":
                return str(self._folder)
            case "hashed":
                return hashed(argument)
            case "cert":
                return public(self._keys / "key-cert")
            case "dsa":
                return DSA
            case "fingerprint":
                return asyncssh.import_public_key(public(self._keys / "key")).get_fingerprint()
            case "krl":
                return str(self._krl(argument))
            case "revoked":
                return self._file("revoked", argument, 0o600)
            case "command":
                return self._file("command", f"#!/bin/sh\n{argument}\n", 0o700)
            case _ if word != name:
                return f"{argument} {public(self._keys / name).split()[1]}"
            case _:
                return public(self._keys / name)[: int(argument) if argument else None]

    def _file(self, name: str, text: str, mode: int) -> str:
        path = self._folder / name
        path.write_bytes(text.encode())
        path.chmod(mode)
        return str(path)

    def _krl(self, what: str) -> Path:
        path, name = self._folder / "krl", "key" if what == "cut" else what
        make_krl(path, what if ":" in what else f"key: {public(self._keys / name)}", self._keys)
        if what == "cut":
            path.write_bytes(path.read_bytes()[:-10])
        return path

    async def settings(self) -> SshSettings:
        """What ssh -G says of the host."""
        path = Path("/nonexistent")
        cluster = Cluster("default", "mgmt", path, path, "", "", "plain", ssh_config=str(self.config))
        return await ask(cluster, Destination("mgmt"), Limits())


def make_krl(path: Path, line: str, keys: Path) -> None:
    spec = path.with_name("spec")
    spec.write_text(f"{line}\n")
    make = ["ssh-keygen", "-q", "-k", "-f", path, "-s", keys / "ca.pub", spec]
    subprocess.run(make, check=True, timeout=10)


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


async def login(trusted: Trust, port: int, **options) -> asyncssh.SSHClientConnection:
    """Connects as the docstring of trust.py says; without a key to log in with."""

    class Client(asyncssh.SSHClient):
        def connection_made(self, conn):
            trusted.guard(conn)

    nobody = {"client_keys": None, "agent_path": None, "password": None, "kbdint_auth": False}
    return await asyncssh.connect(
        "127.0.0.1", port, config=None, client_factory=Client, known_hosts=trusted.known_hosts,
        server_host_key_algs=trusted.host_key_algorithms, **nobody | options,
    )  # fmt: skip


async def attempt(settings: SshSettings, port: int) -> str:
    """Empty where we trust the host, else the words of the refusal. Logs in nowhere."""
    try:
        return await _attempt(await trust(settings, seconds=10), port)
    except HopFailed as error:
        return f"{error.code}: {error}"


async def _attempt(trusted: Trust, port: int) -> str:
    for _ in range(3):
        try:
            await login(trusted, port)
        except asyncssh.PermissionDenied:
            return ""
        except asyncssh.HostKeyNotVerifiable:
            if not await trusted.look_closer(seconds=10):
                return await trusted.refusal()
    raise AssertionError("a key that is trusted is refused")


def by_server(rows: list[Row], more: str = "", **options):
    """The rows of each kind of server, as one row of parametrize."""
    kinds = dict.fromkeys(row.server for row in rows)
    return [
        pytest.param(kind, [row for row in rows if row.server == kind], id=kind + more, **options)
        for kind in kinds
    ]


CASES = by_server(ROWS) + by_server(MORE, ", more", marks=pytest.mark.repetition)
EACH = 6  # of so many rows one is put to this machine's ssh in hack/check, all of them in hack/check-lab
PUT_TO_SSH = [
    pytest.param(row.server, row, id=row.what, marks=[pytest.mark.repetition] if number % EACH else [])
    for number, row in enumerate([*ROWS, *MORE])
]


@pytest.mark.parametrize(("server", "row"), PUT_TO_SSH, indirect=["server"], scope="module")
def test_ssh_says_what_the_row_says(server, row, keys, tmp_path):
    assert ssh_says(Case(row, server, keys, tmp_path)) == row.expected


@pytest.mark.parametrize(("server", "rows"), CASES, indirect=["server"], scope="module")
async def test_we_say_what_the_row_says(server, rows, keys, tmp_path, subtests):
    for number, row in enumerate(rows):
        with subtests.test(row.what):
            folder = tmp_path / str(number)
            folder.mkdir()
            case = Case(row, server, keys, folder)
            refusal = await attempt(await case.settings(), server.port)
            assert (REFUSED if refusal else TRUSTED) == row.expected, refusal


def settings_for(server, tmp_path, text="", **more):
    (tmp_path / "known").write_text(text)
    return replace(
        SshSettings("mgmt", "localhost", server.port, server.user, user_known_hosts=(tmp_path / "known",)),
        **more,
    )


def plain(test):
    return pytest.mark.parametrize("server", ["plain"], indirect=True)(test)


@plain
@pytest.mark.parametrize("line", ["StrictHostKeyChecking no", "StrictHostKeyChecking accept-new",
                                  "NoHostAuthenticationForLocalhost yes"])  # fmt: skip
async def test_a_host_key_is_verified_where_ssh_is_told_not_to(server, keys, tmp_path, line):
    case = Case(Row("", REFUSED, config=line), server, keys, tmp_path)
    refusal = await attempt(await case.settings(), server.port)
    assert ssh_says(case) == TRUSTED
    assert "is unknown: no line has the name" in refusal
    assert f"({line.split()[0]} " in refusal


@plain
async def test_an_unknown_key_is_named_with_its_fingerprint_and_its_other_names(server, keys, tmp_path):
    shown = asyncssh.read_public_key(keys / "key.pub").get_fingerprint()
    settings = settings_for(server, tmp_path, f"127.0.0.1 {public(keys / 'key')}\n")
    assert await attempt(settings, server.port) == (
        f"the host key of localhost:{server.port}, ssh-ed25519 {shown}, is unknown: no line has the name "
        f"[localhost]:{server.port} (the same key is in {tmp_path}/known:1 (127.0.0.1)): compare the fingerprint with "
        f"its owner, and only then add the key under that name (in {tmp_path}/known)"
    )


@plain
async def test_a_changed_key_is_named_with_the_line_that_pins_another(server, keys, tmp_path):
    shown, other = (
        asyncssh.read_public_key(keys / f"{name}.pub").get_fingerprint() for name in ("key", "other")
    )
    settings = settings_for(
        server, tmp_path, f"# words\n[localhost]:{server.port} {public(keys / 'other')}\n"
    )
    assert await attempt(settings, server.port) == (
        f"the host key of localhost:{server.port}, ssh-ed25519 {shown}, is not the key that {tmp_path}/known:2 pins for "
        f"[localhost]:{server.port} (ssh-ed25519 {other}): somebody may stand between you and the host; if the host was "
        "really given a new key, compare the fingerprint with its owner and replace that line"
    )


@plain
async def test_a_revoked_key_is_named_with_the_line_that_revokes_it(server, keys, tmp_path):
    settings = settings_for(
        server, tmp_path, f"localhost {public(keys / 'key')}\n@revoked * {public(keys / 'key')}\n"
    )
    assert f"is revoked by {tmp_path}/known:2" in await attempt(settings, server.port)


@plain
async def test_what_keeps_a_file_from_being_read_is_said(server, keys, tmp_path):
    os.mkfifo(tmp_path / "fifo")
    settings = settings_for(server, tmp_path, f"localhost {public(keys / 'key')[:50]}\n")
    settings = replace(settings, global_known_hosts=(tmp_path / "fifo",))
    refusal = await attempt(settings, server.port)
    assert f"({tmp_path}/fifo cannot be read: not a regular file)" in refusal


@plain
async def test_a_list_of_revoked_keys_without_an_end_refuses_the_host(server, keys, tmp_path):
    os.mkfifo(tmp_path / "fifo")
    settings = settings_for(
        server, tmp_path, f"localhost {public(keys / 'key')}\n", revoked_host_keys=f"{tmp_path}/fifo"
    )
    assert f"may be revoked ({tmp_path}/fifo cannot be read: not a regular file)" in await attempt(
        settings, server.port
    )


@plain
async def test_a_bad_line_is_logged_once_for_each_content_of_its_file(server, keys, tmp_path):
    good = f"localhost {public(keys / 'key')}\n"
    with structlog.testing.capture_logs() as logs:
        for text in (f"=======\n{good}", f"=======\n{good}", f"# words\n=======\n{good}"):
            assert not await attempt(settings_for(server, tmp_path, text), server.port)
    assert [(one["event"], one["file"], one["line"]) for one in logs] == [
        ("known_hosts_line_skipped", f"{tmp_path}/known", 1),
        ("known_hosts_line_skipped", f"{tmp_path}/known", 2),
    ]


@plain
async def test_the_host_gets_no_request_to_log_in_before_its_key_is_trusted(server, tmp_path):
    script = tmp_path / "command"
    script.write_text(f'#!/bin/sh\necho "$1 $2 $3"\necho "$1 asked" >> {tmp_path}/asked\n')
    script.chmod(0o700)
    known = {"known_hosts_command": f"{script} %H %t %K", "host_key_algorithms_named": True}
    trusted = await trust(settings_for(server, tmp_path, **known), seconds=10)
    before = len(server.lines)
    with pytest.raises(asyncssh.HostKeyNotVerifiable):
        await login(trusted, server.port)
    assert not (tmp_path / "asked").exists()
    told = server.wait_for("Received disconnect", after=before)
    assert "the host key is not trusted [preauth]" in told  # no path and no name of ours
    assert not any("userauth" in line for line in server.lines[before:])
    assert await trusted.look_closer(seconds=10)
    with pytest.raises(asyncssh.PermissionDenied):
        await login(trusted, server.port)
    assert (tmp_path / "asked").read_text() == f"[localhost]:{server.port} asked\n"


@plain
async def test_a_verdict_is_about_the_key_that_was_looked_at_and_no_other(server, keys, tmp_path):
    krl = tmp_path / "krl"
    make_krl(krl, "serial: 1", keys)
    lines = "".join(f"localhost {public(keys / name)}\n" for name in ("key", "other"))
    trusted = await trust(settings_for(server, tmp_path, lines, revoked_host_keys=str(krl)), seconds=10)
    connection = SimpleNamespace()
    trusted.guard(connection)
    key, other = (asyncssh.read_public_key(keys / f"{name}.pub").public_data for name in ("key", "other"))
    with pytest.raises(asyncssh.HostKeyNotVerifiable):
        connection.validate_server_host_key(key)
    assert await trusted.look_closer(seconds=10)
    assert connection.validate_server_host_key(key).public_data == key
    with pytest.raises(asyncssh.HostKeyNotVerifiable):
        connection.validate_server_host_key(other)


async def test_a_signature_with_sha_1_is_none_unless_the_user_names_it(keys, tmp_path):
    (tmp_path / "known").write_text(f"localhost {public(keys / 'rsa')}\n")
    trusted = await trust(
        SshSettings("x", "localhost", 22, "u", user_known_hosts=(tmp_path / "known",)), seconds=10
    )
    connection = SimpleNamespace()
    trusted.guard(connection)
    private = asyncssh.read_private_key(keys / "rsa")
    verified = connection.validate_server_host_key(private.public_data)
    assert verified.verify(b"words", private.sign(b"words", b"rsa-sha2-256"))
    assert not verified.verify(b"words", private.sign(b"words", b"ssh-rsa"))


async def test_host_key_algorithms_of_which_none_can_be_used_are_refused_by_name():
    settings = SshSettings("x", "localhost", 22, "u", host_key_algorithms=("ssh-dss", "ssh-xmss@openssh.com"))
    with pytest.raises(
        HopFailed, match=r"HostKeyAlgorithms ssh-dss,ssh-xmss@openssh\.com names nothing"
    ) as caught:
        await trust(settings, seconds=10)
    assert caught.value.code == "ssh_config"


@plain
async def test_without_the_guard_nobody_is_trusted(server, keys, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".ssh").mkdir()
    line = f"[127.0.0.1]:{server.port} {public(keys / 'key')}\n"
    (tmp_path / ".ssh" / "known_hosts").write_text(line)
    trusted = await trust(settings_for(server, tmp_path, line, host="127.0.0.1"), seconds=10)
    with pytest.raises(asyncssh.PermissionDenied):
        await login(trusted, server.port)
    trusted.guard = lambda _: None
    with pytest.raises(asyncssh.HostKeyNotVerifiable):
        await login(trusted, server.port)


@plain
async def test_new_keys_are_agreed_on_with_the_same_host_key(server, keys, tmp_path):
    server.authorize(keys / "other")
    trusted = await trust(settings_for(server, tmp_path, f"localhost {public(keys / 'key')}\n"), seconds=10)
    before = len(server.lines)
    connection = await login(trusted, server.port, client_keys=[keys / "other"], rekey_bytes=4096)
    async with connection:
        done = await connection.run("head -c 100000 /dev/zero | tr '\\0' a")
    assert len(done.stdout) == 100000
    server.wait_for("rekeying in progress", "SSH2_MSG_KEXINIT received", after=before)


async def test_a_command_that_does_not_end_is_killed_with_what_it_started(tmp_path):
    os.mkfifo(tmp_path / "alive")
    script = tmp_path / "command"
    script.write_text(f"#!/bin/sh\nsleep 60 > {tmp_path}/alive &\nsleep 60\n")
    script.chmod(0o700)
    settings = SshSettings("x", "localhost", 22, "u", known_hosts_command=str(script))
    async with asyncio.TaskGroup() as tasks:
        ended = tasks.create_task(asyncio.to_thread((tmp_path / "alive").read_bytes))
        with pytest.raises(HopFailed, match=r"KnownHostsCommand .* did not end within 0\.5 s"):
            await trust(settings, seconds=0.5)
    assert ended.result() == b""  # whoever held its other end has gone
