"""`dap doctor`: this machine first, then the hops."""

import json

import pytest
from support.fake_gateway import fake_gateway
from support.repeated import again

GOOD = [
    {"hop": name, "ok": True, "ms": 2.0, "code": None, "message": ""} for name in ("ssh", "incus", "cluster")
]


@pytest.fixture
def settled(home):
    """A home where everything local is as it should be."""
    directory = home.path / "config" / "dap"
    directory.mkdir(parents=True)
    for name in ("key", "known"):
        (home.path / name).write_text("x")
        (home.path / name).chmod(0o600)
    (directory / "config.toml").write_text(
        f'[clusters.default]\nssh_host = "ops@mgmt"\nssh_key = "{home.path}/key"\n'
        f'ssh_known_hosts = "{home.path}/known"\nssh_config = "none"\n'
    )
    return home


@pytest.fixture
def by_ssh(home):
    """A function that makes a home whose settings are all ssh's: a file with these lines."""

    def write(*lines):
        for name in ("key", "known"):
            (home.path / name).write_text("x")
            (home.path / name).chmod(0o600)
        path = home.path / "ssh_config"
        path.write_text("".join(f"{line.format(home=home.path)}\n" for line in lines))
        return {"DAP_RUNNER_SSH_HOST": "mgmt", "DAP_RUNNER_SSH_CONFIG": str(path)}

    return write


@pytest.fixture
def lines_of(home, doctor_here):
    """Runs it beside a gateway where all is well: (exit status, the lines that it prints)."""

    async def run(env):
        async with fake_gateway(nobody, home.socket, http=ready(GOOD)):
            done = await doctor_here(env)
        assert done.err == ""
        return done.code, done.out.decode().splitlines()

    return run


def ready(hops):
    ok = all(hop["ok"] for hop in hops)
    return {"/readyz": (200 if ok else 503, {"ready": ok, "clusters": {"default": {"hops": hops}}})}


async def nobody(_):
    raise AssertionError


async def test_all_well(settled):
    async with fake_gateway(nobody, settled.socket, http=ready(GOOD)):
        done = await settled.dap("doctor")

    assert (done.code, done.err) == (0, "")
    words = [line.split()[:2] for line in done.out.decode().splitlines()]
    assert words == [
        ["PASS", name]
        for name in (
            "config",
            "ssh_settings",
            "ssh_key",
            "known_hosts",
            "gateway",
            "ssh",
            "incus",
            "cluster",
        )
    ]


async def test_what_is_wrong_here_is_told_with_what_to_do(settled, doctor_here):
    (settled.path / "key").chmod(0o644)
    (settled.path / "known").unlink()
    async with fake_gateway(nobody, settled.socket, http=ready(GOOD)):
        done = await doctor_here()

    out = done.out.decode()
    assert done.code == 1
    assert f"do: chmod 600 {settled.path}/key" in out
    assert f"{settled.path}/known: No such file" in out


async def test_the_first_hop_that_fails_is_blamed(settled, doctor_here):
    hops = [GOOD[0], {"hop": "incus", "ok": False, "ms": 3, "code": "incus_stopped", "message": "it is STOPPED"},
            {"hop": "cluster", "ok": False, "ms": None, "code": None, "message": ""}]  # fmt: skip
    async with fake_gateway(nobody, settled.socket, http=ready(hops)):
        done = await doctor_here()
        as_json = await settled.dap("doctor", "--json")

    lines = done.out.decode().splitlines()
    assert done.code == 125
    assert lines[-3].startswith("FAIL incus")
    assert lines[-3].endswith("it is STOPPED")
    assert lines[-2] == "     do: on the management host: incus start the instance"
    assert lines[-1].startswith("SKIP cluster")
    verdict = json.loads(as_json.out)
    assert (verdict["ok"], verdict["exitCode"]) == (False, 125)
    assert [check["name"] for check in verdict["checks"] if check["ok"] is False] == ["incus"]


async def test_without_a_kubeconfig_it_says_so(settled, doctor_here):
    hops = [*GOOD[:2], {"hop": "runner", "ok": False, "code": "kubeconfig_missing", "message": "none"}]
    async with fake_gateway(nobody, settled.socket, http=ready(hops)):
        done = await doctor_here()

    assert "do: write ~/.kube/config in the runner" in done.out.decode().splitlines()[-1]


def test_a_gateway_elsewhere_needs_nothing_here(called):
    env = {"DAP_GATEWAY_URL": "http://127.0.0.1:1", "DAP_GATEWAY_TOKEN": "t"}
    done = called("doctor", env=env)

    lines = done.out.decode().splitlines()
    assert done.code == 125
    assert [line.split()[:2] for line in lines[:2]] == [["PASS", "config"], ["FAIL", "gateway"]]
    assert "dap serve" in lines[2]


def test_a_broken_file_is_the_first_finding(home, called):
    path = home.path / "config" / "dap" / "config.toml"
    path.parent.mkdir(parents=True)
    path.write_text("[nonsense]\n")
    done = called("doctor")
    elsewhere = {"XDG_CONFIG_HOME": "/nonexistent"}
    unknown = called("doctor", "--cluster", "west", env=elsewhere | {"DAP_RUNNER_VM": "v"})
    none = called("doctor", env=elsewhere)

    assert (done.code, unknown.code, none.code) == (1, 1, 1)
    assert [line.split(maxsplit=2) for line in none.out.decode().splitlines()] == [
        ["FAIL", "config", "no cluster is configured"],
        ["do:", "name", "your management host: dap config init --ssh-host USER@HOST"],
    ]
    assert "unknown table 'nonsense'" in done.out.decode()
    assert "no cluster 'west'" in unknown.out.decode()


GOOD_LINES = ("User ops", "IdentityFile {home}/key", "UserKnownHostsFile {home}/known")


async def test_what_ssh_works_with_is_no_failure_here(home, by_ssh, lines_of):
    code, lines = await lines_of(by_ssh("HostName 192.0.2.1", "ProxyJump j", *GOOD_LINES))

    assert code == 0
    assert [line.split()[:2] for line in lines[1:4]] == [
        ["PASS", "ssh_settings"], ["PASS", "ssh_key"], ["PASS", "known_hosts"],
    ]  # fmt: skip
    assert "ssh -G: ops@192.0.2.1:22 through j" in lines[1]
    assert lines[2].endswith(f"{home.path}/key")
    assert lines[3].endswith(f"{home.path}/known")


NOT_FOLLOWED = [
    "VerifyHostKeyDNS yes", "NoHostAuthenticationForLocalhost yes", "ControlPath /run/c", "PKCS11Provider /p.so",
    "GSSAPIAuthentication yes", "HostbasedAuthentication yes", "ProxyUseFdpass yes",
]  # fmt: skip


@pytest.mark.parametrize(
    "lines",
    [
        ["StrictHostKeyChecking no", *NOT_FOLLOWED],
        again(["StrictHostKeyChecking ask"]),
        ["StrictHostKeyChecking accept-new"],
    ],
    ids=["no_and_others", "ask", "accept-new"],
)
async def test_lines_that_are_not_followed_are_named_with_their_places(home, by_ssh, lines, lines_of):
    code, report = await lines_of(by_ssh("# mine", *lines, *GOOD_LINES))

    notes = [one for one in report if one.startswith("NOTE")]
    assert code == 0
    assert len(notes) == len(lines)
    for number, line in enumerate(lines, start=2):
        (note,) = [one for one in notes if one.endswith(f"({home.path}/ssh_config line {number})")]
        assert line.split()[0] in note
        assert "is not followed: " in note


async def test_weak_algorithms_that_a_file_names_are_shown(home, by_ssh, lines_of):
    _, lines = await lines_of(by_ssh("Ciphers aes128-gcm@openssh.com,aes256-cbc", *GOOD_LINES))

    (note,) = [one for one in lines if one.startswith("NOTE")]
    assert "Ciphers are offered as your file names them, aes256-cbc among them, which is weak" in note
    assert note.endswith(f"({home.path}/ssh_config line 1)")


async def test_a_line_that_ssh_cannot_read_is_told_in_its_words(home, by_ssh, lines_of):
    code, lines = await lines_of(by_ssh("User ops", "Frobnicate yes"))

    assert code == 1
    assert lines[1].startswith("FAIL ssh_settings")
    assert f"{home.path}/ssh_config: line 2: Bad configuration option: frobnicate" in lines[1]
    assert "ssh -G mgmt" in lines[2]


async def test_files_that_are_not_there_are_told_with_the_line_to_mend(home, by_ssh, lines_of):
    env = by_ssh("IdentityFile {home}/no-key", "UserKnownHostsFile {home}/no-known", "IdentityAgent none",
                 "GlobalKnownHostsFile none", "RevokedHostKeys {home}/no-list")  # fmt: skip
    code, lines = await lines_of(env)

    said = "\n".join(lines)
    assert code == 1
    assert f"{home.path}/no-key: No such file" in said
    assert f"do: write that file, or mend {home.path}/ssh_config line 1" in said
    assert f"{home.path}/no-known: No such file" in said
    assert f"into {home.path}/no-known, after comparing its fingerprint" in said
    assert f"{home.path}/no-list: No such file or directory: every host key is refused" in said
    assert f"do: write that file, or mend {home.path}/ssh_config line 5" in said


async def test_a_key_that_is_absent_beside_one_that_is_there_is_passed_over(by_ssh, lines_of):
    code, lines = await lines_of(by_ssh("IdentityFile {home}/no-key", *GOOD_LINES))

    assert code == 0
    assert any(line.startswith("NOTE ssh_key") and "passed over" in line for line in lines)


async def test_the_files_of_an_include_are_searched_for_a_line(home, by_ssh, lines_of):
    (home.path / "more").write_text("\nHost mgmt\n  VerifyHostKeyDNS = yes\n")
    _, lines = await lines_of(by_ssh("Include {home}/more", *GOOD_LINES))

    assert any(line.endswith(f"({home.path}/more line 3)") for line in lines)


async def test_without_ssh_it_says_whose_parser_reads_the_files(by_ssh, tmp_path_factory, lines_of):
    empty = tmp_path_factory.mktemp("bin")
    code, lines = await lines_of(by_ssh(*GOOD_LINES) | {"PATH": str(empty)})

    assert code == 0
    assert "asyncssh's parser: ops@mgmt:22" in lines[1]
    assert lines[2].startswith("NOTE")
    assert "no ssh is installed" in lines[2]


async def test_while_the_host_is_the_example_nothing_is_asked(lines_of):
    code, lines = await lines_of({"DAP_RUNNER_VM": "v"})

    assert code == 1
    assert [line.split()[:2] for line in lines[1:4:2]] == [["FAIL", "ssh_host"], ["PASS", "gateway"]]


async def test_a_gateway_that_knows_nobody_here_is_no_answer(settled, doctor_here):
    """Without a credential it says whether it is ready, and no more."""
    http = {"/readyz": (200, {"ready": True, "code": None})}
    async with fake_gateway(nobody, settled.socket, http=http):
        done = await doctor_here()

    assert done.code == 125
    assert "FAIL gateway" in done.out.decode()
    assert "check DAP_GATEWAY_TOKEN" in done.out.decode()
