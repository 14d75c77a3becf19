"""`dap doctor` about this machine: it is right about directories, proxies and sockets, names the line of each failure, and
fails nothing that works.
"""

import pytest
from support.beside import beside
from support.fake_gateway import fake_gateway
from support.repeated import again

from gateway.cli.commands import doctor
from gateway.cli.doctor.check import failed
from gateway.cli.doctor.machine_checks import directory_checks
from gateway.cli.doctor.origins import behind, origin
from gateway.settings import serving
from gateway.settings.loader import load

GOOD = [
    {"hop": name, "ok": True, "ms": 2.0, "code": None, "message": ""} for name in ("ssh", "incus", "cluster")
]
READY = {"/readyz": (200, {"ready": True, "clusters": {"default": {"hops": GOOD}}})}


async def nobody(_):
    raise AssertionError


@pytest.fixture
def chain(demo, tmp_path):
    """An environment in which only a file of ssh's settings names the key and the known hosts of a demo chain."""
    user, _, where = demo.ssh_host.partition("@")
    host, _, port = where.partition(":")
    (tmp_path / "ssh_config").write_text(
        f"Host mgmt\n  HostName {host}\n  Port {port}\n  User {user}\n  IdentityFile {demo.ssh_key}\n"
        f"  UserKnownHostsFile {demo.known_hosts}\n  IdentityAgent none\n"
    )
    return {
        "DAP_RUNNER_SSH_HOST": "mgmt", "DAP_RUNNER_SSH_CONFIG": str(tmp_path / "ssh_config"),
        "DAP_RUNNER_VM": demo.instance,
    }  # fmt: skip


def words(done):
    return [line.split()[:2] for line in done.out.decode().splitlines()]


def test_a_key_that_only_the_settings_of_ssh_name_is_enough(called, chain, tmp_path):
    """One that others can read is a note beside it."""
    (tmp_path / "open").write_text("x")
    (tmp_path / "open").chmod(0o644)
    with (tmp_path / "ssh_config").open("a") as file:
        file.write(f"  IdentityFile {tmp_path}/open\n")
    done = called("doctor", "-q", env=chain)

    assert (done.code, done.err) == (0, ""), done.out
    assert [line for line in words(done) if line[0] in ("FAIL", "NOTE")] == [["NOTE", "ssh_key"]]
    assert f"others can read {tmp_path}/open" in done.out.decode()


async def test_what_is_found_wrong_here_is_a_note_where_the_login_works(home, monkeypatch):
    """The gateway of the command itself has logged in with these settings."""
    for name in ("XDG_RUNTIME_DIR", "XDG_CONFIG_HOME", "XDG_STATE_HOME"):
        monkeypatch.setenv(name, home.env[name])
    monkeypatch.delenv("DAP_GATEWAY_URL", raising=False)
    for hops, word in ((GOOD, "NOTE"), ([GOOD[0] | {"ok": False}], "FAIL")):
        said = []
        ready = {"/readyz": (200, {"ready": True, "clusters": {"default": {"hops": hops}}})}
        async with fake_gateway(nobody, home.socket, http=ready):
            held = [failed("ssh_key", "no such file", "write it")]
            await doctor._hops(load(), "default", said.append, held, quiet=True)
        assert str(said[0]).startswith(f"{word} ssh_key")


async def test_a_failure_names_the_line_of_the_setting(home, doctor_here):
    file = home.path / "config" / "dap" / "config.toml"
    file.parent.mkdir(parents=True)
    file.write_text(
        f'# mine\n[clusters.default]\nssh_host = "ops@mgmt"\nssh_config = "none"\nssh_key = "{home.path}/no-key"\n'
        f'ssh_known_hosts = "{home.path}/no-known"\n'
    )
    async with fake_gateway(nobody, home.socket, http=READY):
        done = await doctor_here()
        by_variable = await doctor_here({"DAP_RUNNER_SSH_KEY": f"{home.path}/none"})

    assert (done.code, by_variable.code) == (1, 1)
    assert f"mend the setting: {file} line 5" in done.out.decode()
    assert f"mend the setting: {file} line 6" in done.out.decode()
    assert "mend the setting: environment DAP_RUNNER_SSH_KEY" in by_variable.out.decode()


@pytest.mark.parametrize(
    ("text", "place"),
    [
        again("[gateway]\nnope = 'x'\n", "line 2"), ("\n[nonsense]\n", "line 2"), ("[limits]\nidle = -1\n", "line 2"),
        ("[clusters.default]\nvm = 'v'\nmode = 'x'\n", "line 3"), ("[clusters.'east']\nvm = 'v'\nkind = 'x'\n", "line 3"),
        ("[gateway\n", "line 1"), again("nonsense = 1\n", "line 1"), again("[clusters.default]\nvm = 1\n", "line 2"),
    ],
)  # fmt: skip
def test_a_setting_that_cannot_be_used_is_found_in_its_file(home, called, text, place):
    file = home.path / "config" / "dap" / "config.toml"
    file.parent.mkdir(parents=True)
    file.write_text(text)
    done = called("doctor")

    assert done.code == 1
    first = done.out.decode().splitlines()[0]
    assert first.startswith("FAIL config")
    assert str(file) in first
    assert place in first


def test_a_variable_stands_before_the_file(tmp_path):
    file = tmp_path / "config.toml"
    file.write_text('[clusters.default]\n"mode" = "x"\n')

    assert origin("clusters.default.mode", file, {}) == f"{file} line 2"
    assert origin("clusters.default.mode", file, {"DAP_RUNNER_MODE": "x"}) == "environment DAP_RUNNER_MODE"
    assert origin("clusters.east.mode", file, {"DAP_RUNNER_MODE": "x"}) == ""
    assert origin("gateway.listen", tmp_path / "none", {}) == ""
    assert behind("no setting is named", file) == "no setting is named"


async def test_a_directory_of_no_use_is_a_note_and_a_missing_one_none(home, doctor_here):
    (home.path / "file").touch()
    async with fake_gateway(nobody, home.path / "state" / "dap" / "gateway.sock", http=READY):
        env = {"DAP_RUNNER_SSH_HOST": "mgmt", "DAP_RUNNER_SSH_CONFIG": "none"}
        bad = await doctor_here(env | {"XDG_RUNTIME_DIR": str(home.path / "file")})
        missing = await doctor_here(env | {"XDG_RUNTIME_DIR": str(home.path / "later")})

    (note,) = [line for line in bad.out.decode().splitlines() if line.startswith("NOTE directories")]
    assert f"XDG_RUNTIME_DIR is {home.path}/file, where nothing can be made" in note
    assert "directories" not in missing.out.decode()


def test_without_a_place_for_temporary_files_it_says_so(monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", "/absent")
    (check,) = [check for check in directory_checks() if check.ok is False]

    assert (check.name, check.advice) == ("directories", "set TMPDIR")
    assert "No such file or directory" in check.message


def test_the_proxy_to_a_gateway_elsewhere_is_named(called):
    elsewhere = {"DAP_GATEWAY_URL": "https://dap.example.com", "DAP_GATEWAY_TOKEN": "t"}
    noted = called("doctor", env=elsewhere | {"HTTPS_PROXY": "http://ann:s3cret@127.0.0.1:1"})
    socks = called("doctor", env=elsewhere | {"ALL_PROXY": "socks5://127.0.0.1:1"})
    here = called("doctor", env={"DAP_GATEWAY_URL": "http://127.0.0.1:1", "DAP_GATEWAY_TOKEN": "t",
                                         "HTTP_PROXY": "http://127.0.0.1:2"})  # fmt: skip

    assert (noted.code, socks.code, here.code) == (125, 125, 125)
    assert (
        "https://dap.example.com is reached through 127.0.0.1:1, which HTTPS_PROXY names"
        in noted.out.decode()
    )
    assert ["FAIL", "proxy"] in words(socks)
    assert "ALL_PROXY names a SOCKS proxy" in socks.out.decode()
    assert not [line for line in words(here) if line[1] == "proxy"]
    assert "s3cret" not in noted.out.decode()


def test_a_gateway_found_by_its_proof_is_said_to_be(home, called):
    from support.served import TOKEN, config_for, served

    with beside(served(config_for(), home.path / "elsewhere")) as running:
        where = running.url.removeprefix("http://").rpartition(":")
        serving.write(home.path / "state" / "dap", serving.Address(None, [(where[0], int(where[2]))]))
        done = called("doctor", env={"DAP_GATEWAY_TOKEN": TOKEN})

    assert (
        f"{running.url}; no socket of it answers, and it has proved that it knows the token"
        in done.out.decode()
    )
