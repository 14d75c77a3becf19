"""The keys that a login offers: OpenSSH's own client and sshd say which are right, with a real ssh-agent."""

import shutil
from base64 import b64encode
from dataclasses import dataclass, field, replace
from pathlib import Path

import asyncssh
import pytest
from support import openssh
from support.ssh_login import Agent, login, settings_of
from support.sshd import sshd

from gateway.backends.ssh.identities import identities
from gateway.backends.ssh.passphrase import Passphrase
from gateway.backends.ssh.settings import SshSettings

pytestmark = pytest.mark.timeout(60)

LETTERS = "abcdefgh"
ENDS = (
    "Accepted publickey for",
    "authenticating user",
)  # sshd's words for a login, and for its end without it


@pytest.fixture(scope="module")
def host(made, tmp_path_factory):
    """OpenSSH's sshd, which turns a login away after six refused keys."""
    with openssh.sshd(
        tmp_path_factory.mktemp("sshd"), "MaxAuthTries 6", f"TrustedUserCAKeys {made}/authority.pub",
        "AuthorizedPrincipalsFile none",
    ) as running:  # fmt: skip
        yield running


def lines_of(settings: SshSettings) -> list[str]:
    """The same for OpenSSH's client."""
    lines = [f"IdentityFile {file}" for file in settings.identity_files]
    lines += [f"CertificateFile {file}" for file in settings.certificate_files]
    lines += [f"IdentitiesOnly {'yes' if settings.identities_only else 'no'}"]
    lines += [f"IdentityAgent {settings.agent or 'none'}", f"RequiredRSASize {settings.required_rsa_bits}"]
    accepted = settings.public_key_algorithms
    return lines + [f"PubkeyAcceptedAlgorithms {','.join(accepted)}"] * bool(accepted)


def seen(host: openssh.Sshd, after: int) -> list[str]:
    """Kind and fingerprint of each key that a host was offered in the login that its log has from line `after` on."""
    end = host.lines.index(host.wait_for(*ENDS, after=after), after)
    found: list[str] = []
    for line in host.lines[after : end + 1]:
        for mark in (" pkblob ", " ssh2: "):
            _, marked, key = line.partition(mark)
            if marked and "publickey" in line and (words := " ".join(key.split()[:2])) not in found[-1:]:
                found.append(words)
    return found


def ssh_offers(host: openssh.Sshd, settings: SshSettings) -> tuple[int, list[str], str]:
    """Logs in as ssh does. Returns its exit code, what it offered, and its words."""
    start = len(host.lines)
    done = openssh.ssh(host.client_config(*lines_of(settings)), "mgmt", "true")
    return done.returncode, seen(host, start), done.stderr.decode()


async def we_offer(host: openssh.Sshd, settings: SshSettings) -> tuple[bool, list[str], str]:
    """Logs in as we do. Returns whether that let us in, what was offered, and our remarks."""
    start = len(host.lines)
    let_in, remarks = await login(settings)
    return let_in, seen(host, start), remarks


async def as_ssh(host: openssh.Sshd, settings: SshSettings) -> tuple[bool, list[str], str]:
    """Logs in as ssh does and as we do, and asserts that they offer the same. Returns what `we_offer` does."""
    code, theirs, words = ssh_offers(host, settings)
    let_in, ours, remarks = await we_offer(host, settings)
    assert ours == theirs, words
    assert let_in == (code == 0), words
    return let_in, ours, remarks


@dataclass(frozen=True)
class Case:
    """Names of key files. `order`: what is offered, `lets_in`: what the host takes; h+ is the certificate of h."""

    files: str
    order: str
    agent: str = ""
    only: bool = False
    lets_in: str = ""
    certificates: str = ""
    beside: str = ""  # keys that have a certificate beside them
    private: str = LETTERS + "r"  # keys whose private file is there
    public: str = LETTERS + "r"
    more: dict = field(default_factory=dict)


CASES = {
    "files in their order": Case("a b c", "a b c", lets_in="c"),
    "named keys in the agent's order, others of the agent, other files": Case("a b c", "c a h b", agent="h c a"),
    "only what a file names": Case("a b", "b a", agent="h b c", only=True),
    "nothing named in the agent": Case("a", "a", agent="b c", only=True, lets_in="a"),
    "a .pub whose private key is in the agent": Case("b.pub", "b", agent="a b c", only=True, lets_in="b"),
    "a file that is not there beside its .pub": Case("b", "b a", agent="a b", private="a", lets_in="a"),
    "a .pub whose private key is nowhere": Case("b.pub a", "b a", lets_in="a"),
    "eight in the agent and the last is named": Case("h.pub", "h", agent=" ".join(LETTERS), lets_in="h"),
    "eight in the agent and none is named": Case("", "a b c d e f", agent=" ".join(LETTERS), lets_in="h"),
    "eight in the agent and the only one is named": Case("h", "h", agent=" ".join(LETTERS), only=True, lets_in="h"),
    "a certificate beside its key": Case("a h", "a h h+", beside="h", lets_in="h+"),
    "a certificate in the agent": Case("", "a h h+", agent="a h", beside="h", lets_in="h+"),
    "a named certificate in the agent": Case("h", "h h+", agent="a h", beside="h", lets_in="h+"),
    "a named certificate with its key in a file": Case("a h", "h+", certificates="h-cert.pub", beside="h", lets_in="h+"),
    "a named certificate with its key in the agent": Case(
        "a", "h+", agent="h", certificates="h-cert.pub", beside="h", private="a", lets_in="h+"
    ),
    "a named certificate with its key nowhere": Case(
        "a", "h+ a", certificates="h-cert.pub", beside="h", private="a", lets_in="a"
    ),
    "a certificate that is not there": Case("a", "a", certificates="absent-cert.pub", lets_in="a"),
    "files that are not there": Case("absent b gone", "b", lets_in="b"),
    "an RSA key": Case("r", "r", lets_in="r"),
    "an RSA key in the agent": Case("", "a r", agent="a r", lets_in="r"),
    "no public key in OpenSSH's format": Case("a b", "a b", public="", lets_in="b"),
    "a PEM without a public key": Case("a pem b", "a r", lets_in="r"),
    "only RSA is accepted": Case(
        "a r", "r", agent="b", lets_in="r", more={"public_key_algorithms": ("rsa-sha2-256",)}
    ),
    "only certificates are accepted": Case(
        "a h", "h+", beside="h", lets_in="h+", more={"public_key_algorithms": ("ssh-ed25519-cert-v01@openssh.com",)}
    ),
    "SHA-1 is accepted": Case("r a", "a", agent="r", lets_in="a", more={"public_key_algorithms": ("ssh-rsa", "ssh-ed25519")}),
    "RSA keys are too short": Case("r a", "a", agent="r", lets_in="a", more={"required_rsa_bits": 3072}),
}  # fmt: skip


EACH = 6  # of so many rows one is put to this machine's ssh in hack/check, all of them in hack/check-lab
PUT_TO_SSH = [
    pytest.param(case, id=name, marks=[pytest.mark.repetition] if number % EACH else [])
    for number, (name, case) in enumerate(CASES.items())
]


@pytest.mark.parametrize("case", PUT_TO_SSH)
def test_ssh_offers_what_the_row_says(case, host, keys, made, agent):
    code, offered, _ = ssh_offers(host, settings_for(case, host, keys, made, agent))
    assert offered == [shown(made, name) for name in case.order.split()]
    assert (code == 0) == (case.order.split()[-1] == case.lets_in)


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
async def test_the_keys_of_ssh_are_offered_in_its_order(case, host, keys, made, agent):
    let_in, offered, _ = await we_offer(host, settings_for(case, host, keys, made, agent))
    assert offered == [shown(made, name) for name in case.order.split()]
    assert let_in == (case.order.split()[-1] == case.lets_in)


def settings_for(case: Case, host: openssh.Sshd, keys: Path, made: Path, agent: Agent) -> SshSettings:
    """Prepares the files, the agent and the host of a row. Returns its settings."""

    def file(name: str) -> Path:
        return keys / (name.replace("r", "rsa") if name in ("r", "r.pub") else name)

    for name in case.beside:
        shutil.copy(made / f"{name}-cert.pub", keys)
    agent.add(*map(file, case.agent.split()))
    for name in LETTERS + "r":
        if name not in case.public:
            remove(file(f"{name}.pub"))
        if name not in case.private:
            remove(file(name))
    host.authorize(made / file(case.lets_in if len(case.lets_in) == 1 else "authority").name)
    return settings_of(
        host.port, host.user, identity_files=tuple(map(file, case.files.split())), identities_only=case.only,
        certificate_files=tuple(map(file, case.certificates.split())), agent=agent.socket, **case.more,
    )  # fmt: skip


def remove(file: Path) -> None:
    file.unlink()


def shown(made: Path, name: str) -> str:
    key = asyncssh.read_public_key(made / f"{'rsa' if name == 'r' else name.strip('+')}.pub")
    kind = "RSA" if name == "r" else "ED25519"
    return f"{kind}{'-CERT' if name.endswith('+') else ''} {key.get_fingerprint()}"


async def test_rsa_keys_and_their_certificates_sign_with_sha2_only(host, keys, made):
    openssh.certificate(keys / "rsa", made / "authority", "-n", host.user)
    host.authorize(made / "authority")
    start = len(host.lines)
    settings = settings_of(host.port, host.user, identity_files=(keys / "rsa",))
    assert (await as_ssh(host, settings))[0]
    shown = [line.partition(" pkalg ")[2].split()[0] for line in host.lines[start:] if " pkalg " in line]
    assert shown == ["rsa-sha2-512", "rsa-sha2-512-cert-v01@openssh.com"] * 2


async def test_rsa_is_not_offered_to_a_host_that_names_no_signature_algorithms(keys, monkeypatch):
    """It may know SHA-1 only (RFC 8332, 3.3), and ssh then keeps the key to itself."""
    monkeypatch.setattr(asyncssh.connection.SSHConnection, "_send_ext_info", lambda _: None)
    ours = [asyncssh.read_private_key(keys / name) for name in ("rsa", "a")]
    async with sshd(*ours) as server:
        settings = settings_of(server.port, "me", identity_files=(keys / "rsa", keys / "a"))
        assert (await login(settings))[0]
        assert set(server.tries) == {f"me {ours[1].get_fingerprint()}"}


@pytest.mark.parametrize("named", [True, False])
@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda file: file.chmod(0o644), "others can read it: chmod 600"),
        (lambda file: file.write_text("nothing"), "there is no private key in it"),
        (lambda file: file.unlink(), "there is no such file"),
    ],
    ids=["others can read it", "garbage", "only its .pub"],
)
async def test_a_private_key_that_cannot_be_used_is_left_out_and_said(host, keys, spoil, words, named):
    """The host takes its public key, and ssh cannot use it either."""
    spoil(keys / "a")
    host.authorize(keys / "a")
    settings = settings_of(
        host.port, host.user, identity_files=(keys / "a", keys / "b"), identities_named=named
    )
    let_in, offered, remarks = await as_ssh(host, settings)
    assert not let_in
    assert len(offered) == 2
    assert str(keys / "a") in remarks
    assert words in remarks


async def test_files_that_are_not_there_are_said_where_they_were_named(keys):
    files = (keys / "absent", keys / f"absent{'n' * 300}")
    settings = settings_of(0, "me", identity_files=files, certificate_files=(keys / "gone",))
    async with identities(settings, Passphrase(None)) as offered:
        assert await offered.next() is None
        assert [str(keys / "absent") in one or str(keys / "gone") in one for one in offered.remarks] == [
            True,
            True,
            True,
        ]
    defaults = replace(settings, identities_named=False, certificate_files=())
    async with identities(defaults, Passphrase(None)) as offered:
        assert await offered.next() is None
        assert offered.remarks == []


async def test_an_expired_certificate_is_said(host, keys, made):
    openssh.certificate(keys / "a", made / "authority", "-n", host.user, "-V", "20200101:20200102")
    host.authorize(made / "authority")
    settings = settings_of(host.port, host.user, identity_files=(keys / "a",))
    let_in, _, remarks = await as_ssh(host, settings)
    assert not let_in
    assert f"{keys}/a-cert.pub: Certificate expired" in remarks


async def test_the_certificate_of_a_host_is_not_offered(host, keys, made):
    openssh.certificate(keys / "a", made / "authority", host=True)
    host.authorize(made / "authority")
    settings = settings_of(host.port, host.user, identity_files=(keys / "a",))
    assert len((await as_ssh(host, settings))[1]) == 1


async def test_a_key_is_offered_once(keys, agent):
    """In the agent, in a file, and in a copy of it."""
    shutil.copy(keys / "a", keys / "copy")
    agent.add(keys / "a")
    settings = settings_of(0, "me", identity_files=(keys / "a", keys / "copy"), agent=agent.socket)
    async with identities(settings, Passphrase(None)) as offered:
        assert await offered.next()
        assert await offered.next() is None


async def test_a_copy_is_offered_where_the_first_could_not_sign(keys):
    shutil.copy(keys / "a", keys / "copy")
    (keys / "a").chmod(0o644)
    async with sshd(asyncssh.read_private_key(keys / "copy")) as server:
        assert (await login(settings_of(server.port, "me", identity_files=(keys / "a", keys / "copy"))))[0]


async def test_a_damaged_public_key_is_none(keys):
    """The exponent of this RSA key is negative."""
    parts = (b"ssh-rsa", b"\x81", b"\x71" * 128)
    blob = b64encode(b"".join(len(part).to_bytes(4, "big") + part for part in parts))
    (keys / "a.pub").write_bytes(b"ssh-rsa " + blob)
    settings = settings_of(0, "me", identity_files=(keys / "a.pub", keys / "b"))
    async with identities(settings, Passphrase(None)) as offered:
        found = await offered.next()
        assert found
        assert found.public_data == asyncssh.read_public_key(keys / "b.pub").public_data
