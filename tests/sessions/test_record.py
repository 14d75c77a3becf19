"""What a relay keeps for the gateway's next life, and the secret of an attach."""

import json
from dataclasses import replace

import pytest

from gateway.access.identity import Identity
from gateway.backends.relay.seal import Seal
from gateway.protocol.actor import Actor
from gateway.protocol.target import Command, Target
from gateway.protocol.terminal_modes import TerminalModes
from gateway.relay.resumable_command import NOTE
from gateway.sessions.record import Secret, SessionRecord

TARGET = Target("default", "n" * 63, ("p" * 63 + ".") * 3 + "p", "c" * 63)


def note(*argv: str, name: str = "me", groups: tuple[str, ...] = ()) -> SessionRecord:
    command = Command(argv, "exec", stdin=True, stdout=True, tty=True, session="s1")
    return SessionRecord(Identity(name, "token", groups), TARGET, command, ("a" * 64, "b" * 64))


def test_it_comes_back():
    one = note("sh", "-c", "echo größer 終", groups=("ops", "dev"))

    found = SessionRecord.parse("s1", json.loads(json.dumps(one.body())))

    assert found == one
    assert found.command.own_client


def test_the_credential_comes_back_and_an_older_gateway_has_none():
    one = note("sh")
    with_it = replace(one, identity=replace(one.identity, credential="0123456789")).body()

    found = SessionRecord.parse("s1", with_it)
    older = SessionRecord.parse("s1", {key: value for key, value in with_it.items() if key != "credential"})

    assert found
    assert found.identity.credential == "0123456789"
    assert older
    assert older.identity.credential == ""


@pytest.mark.parametrize("text", ["x", "終", "\x01", "😀", '"', "\\"])
@pytest.mark.parametrize("count", [1, 300, 100_000])
def test_the_relay_takes_it_however_long_the_command_is(text, count):
    body = note(*[text] * min(count, 5000), text * count, name=text * 500, groups=(text * 500,) * 50).body()

    assert len(json.dumps(Seal(b"", "").sign("s1", body))) <= NOTE
    assert SessionRecord.parse("s1", body) is not None


def test_what_it_is_bound_to_comes_back_and_fits_beside_the_longest():
    one = note("終" * 100_000, name="終" * 500, groups=("終" * 500,) * 50)
    bound = replace(one, identity=replace(one.identity, credential="0123456789", only=TARGET))

    assert len(json.dumps(bound.body())) <= NOTE
    assert SessionRecord.parse("s1", bound.body()).identity.only == TARGET
    for broken in (1, "web-0", ["x"]):
        assert SessionRecord.parse("s1", bound.body() | {"only": broken}) is None


def test_the_relay_takes_it_whatever_the_output_has_set():
    """One that is too long would end the link of all sessions, and the next one, too."""
    groups = ("g" * 64,) * 32
    modes = TerminalModes()
    for number in (*range(70), *range(1000, 1050), 2004, 2026, 2031, 2048):
        modes.take(b"".join(b"\x1b[?%s%dh" % (b"0" * count, number) for count in range(96)))
    modes.take(b"\x1b[?7;25l\x1b[4h\x1b=\x1b[>4;9m\x1b[3 q\x1b[2;20r\x1b(0" + b"\x1b[>1;2u" * 99)
    one = note("sh", "-c", "x" * 100_000, name="n" * 64, groups=groups)
    command = replace(one.command, actor=Actor("n" * 64, groups))
    body = replace(one, command=command, modes=modes.setting.decode()).body()

    assert len(json.dumps(Seal(b"", "").sign("s1", body))) <= NOTE
    assert SessionRecord.parse("s1", body).modes == modes.setting.decode()


@pytest.mark.parametrize(
    "broken",
    [
        {},
        {"identity": 3},
        {"verb": "format"},
        {"secrets": None},
        {"target": ["x"]},
        {"opened": 10**400},
        {"opened": 1e300},
        {"opened": -1},
        {"opened": float("nan")},
        {"opened": []},
    ],
)
def test_what_somebody_else_wrote_is_none(broken):
    body = note("sh").body()

    assert SessionRecord.parse("s1", {**body, **broken} if broken else {}) is None


def test_the_secret_that_was_used_is_good_until_the_new_one_was():
    secret = Secret()
    assert not secret.is_good("")
    first = secret.renew()
    lost = [secret.renew(first) for _ in range(3)]  # hellos that never came
    assert secret.is_good(first)
    assert [secret.is_good(one) for one in lost] == [False, False, True]
    assert secret.confirm()
    assert not secret.confirm()
    assert not secret.is_good(first)
    assert secret.is_good(lost[-1])
    taken = secret.renew()
    assert not secret.is_good(lost[-1])
    assert secret.is_good(taken)
    assert not secret.is_good("\ud800")
    assert taken not in str(secret.hashes)
