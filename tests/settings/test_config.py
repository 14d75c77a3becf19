"""Settings: which one counts, where it came from, and what is said about one that cannot be used."""

import os
import pwd
from dataclasses import fields
from pathlib import Path

import pytest

from gateway.errors import ConfigError
from gateway.settings.config import (
    Limits,
    cluster_called,
)
from gateway.settings.loader import load
from gateway.settings.names import CLUSTER_SETTINGS, GATEWAY_SETTINGS
from gateway.settings.paths import config_path, home, socket_paths, state_dir


@pytest.fixture
def write(tmp_path):
    """Writes config.toml; returns an environment that finds it."""

    def put(text):
        path = tmp_path / "config" / "dap" / "config.toml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        path.chmod(0o600)
        return {"HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path / "config")}

    return put


def test_a_cluster_exists_when_it_is_configured(write):
    assert not load(write("")).clusters
    assert list(load(write('[clusters.prod]\nssh_host = "p"\n')).clusters) == ["prod"]
    assert list(load(write("[clusters.b]\n[clusters.default]\n[clusters.a]\n")).clusters) == [
        "default",
        "b",
        "a",
    ]
    assert list(load(write("[clusters.b]\n") | {"DAP_RUNNER_VM": "v"}).clusters) == ["default", "b"]


@pytest.mark.parametrize(
    ("name", "known", "meant"),
    [
        ("default", ["prod", "test"], "prod"), ("", ["prod", "test"], "prod"), ("test", ["prod", "test"], "test"),
        ("default", ["default", "prod"], "default"), ("", ["default", "prod"], "default"),
        ("nope", ["prod"], "nope"), ("", [], "default"), ("default", [], "default"),
    ],
)  # fmt: skip
def test_default_is_the_first_cluster_unless_one_is_called_that(name, known, meant):
    assert cluster_called(name, known) == meant


def test_defaults_are_as_documented(tmp_path, write):
    config = load(write("[clusters.default]\n"))

    assert config.listen == "localhost:8080"
    default = config.clusters["default"]
    assert list(config.clusters) == ["default"]
    assert (default.ssh_host, default.vm, default.mode) == ("user@mgmt.example.com", "dap-runner", "auto")
    assert default.ssh_key == tmp_path / ".ssh/id_ed25519"
    assert default.ssh_known_hosts == tmp_path / ".ssh/known_hosts"
    assert default.explicit == frozenset()
    assert set(config.origins.values()) == {"default"}


def test_flags_go_over_the_environment_over_the_file_over_defaults(write):
    env = write('[gateway]\nlisten = "localhost:1"\n[clusters.default]\nvm = "file"\nssh_host = "file"\n')
    path = env["XDG_CONFIG_HOME"] + "/dap/config.toml"

    def listen(more, flags=None):
        config = load(env | more, flags)
        return config.listen, config.origins["gateway.listen"]

    assert listen({}) == ("localhost:1", path)
    assert listen({"DAP_GATEWAY_LISTEN": "localhost:2"}) == ("localhost:2", "environment DAP_GATEWAY_LISTEN")
    assert listen({"DAP_GATEWAY_LISTEN": "x"}, {"gateway.listen": "localhost:3"}) == ("localhost:3", "flag")
    cluster = load(env | {"DAP_RUNNER_VM": "env"}).clusters["default"]
    assert (cluster.vm, cluster.ssh_host) == ("env", "file")
    assert cluster.explicit == {"vm", "ssh_host"}


def test_every_setting_has_its_variable(tmp_path):
    values = {
        "kind": "ssh",
        "mode": "auto",
        "namespace": "shop",
        "impersonate": "user",
        "exec": "api",
        "trusted_proxies": "10.0.0.0/8",
        "log_argv": "true",
        "production": "prod-*,default/live",
        "spdy_exec": "false",
    }
    env = {row.env: values.get(row.key, f"/{row.key}") for row in (*CLUSTER_SETTINGS, *GATEWAY_SETTINGS)}
    config = load({"HOME": str(tmp_path), **env})

    assert not [name for name, origin in config.origins.items() if not origin.startswith("environment ")]
    assert len(config.origins) == len(CLUSTER_SETTINGS) + len(GATEWAY_SETTINGS)
    assert config.clusters["default"].explicit == {row.key for row in CLUSTER_SETTINGS}
    assert config.token == "/token"


def test_the_environment_speaks_of_the_default_cluster_alone(write):
    env = write('[clusters.other]\nssh_host = "o@h:22"\nmode = "plain"\n')

    config = load(env | {"DAP_RUNNER_VM": "mine"})

    assert list(config.clusters) == ["default", "other"]
    assert config.clusters["default"].vm == "mine"
    assert config.clusters["other"].vm == "dap-runner"
    assert config.clusters["other"].mode == "plain"


@pytest.mark.parametrize("wrong", ["10.0.0.1/8", "proxy.example.com", "unix:", "10.0.0.0/33", "*"])
def test_a_proxy_is_trusted_by_its_network(write, wrong):
    config = load(write('[gateway]\ntrusted_proxies = ["127.0.0.0/8", "fd00::/64", "10.1.1.1"]\n'))
    assert config.trusted_proxies == ("127.0.0.0/8", "fd00::/64", "10.1.1.1")
    with pytest.raises(
        ConfigError, match=r"trusted_proxies .environment DAP_GATEWAY_TRUSTED_PROXIES.: .*10\.0\.0\.0/8"
    ):
        load(write("") | {"DAP_GATEWAY_TRUSTED_PROXIES": f"127.0.0.1, {wrong}"})


@pytest.mark.parametrize(("text", "meant"), [("", True), ("spdy_exec = false", False)])
def test_spdy_is_served_unless_it_is_switched_off(write, text, meant):
    env = write(f"[gateway]\n{text}\n")
    assert load(env).spdy_exec is meant
    assert load(env | {"DAP_GATEWAY_SPDY_EXEC": "false"}).spdy_exec is False


@pytest.mark.parametrize(
    ("text", "meant"), [("", False), ("log_argv = true", True), ('log_argv = "true"', True)]
)
def test_the_commands_are_logged_where_that_is_wanted(write, text, meant):
    env = write(f"[gateway]\n{text}\n")
    assert load(env).log_argv is meant
    assert load(env | {"DAP_GATEWAY_LOG_ARGV": "false"}).log_argv is False
    with pytest.raises(
        ConfigError, match=r"log_argv .environment DAP_GATEWAY_LOG_ARGV. is 'yes'; use true or false"
    ):
        load(env | {"DAP_GATEWAY_LOG_ARGV": "yes"})
    with pytest.raises(ConfigError, match="listen"):
        load(write("[gateway]\nlisten = true\n"))


def test_lists_may_be_lists_or_text(write):
    env = write('[gateway]\nallowed_hosts = ["a", "b:1"]\nallowed_origins = "https://a , https://b,,"\n')

    config = load(env)

    assert config.allowed_hosts == ("a", "b:1")
    assert config.allowed_origins == ("https://a", "https://b")


@pytest.mark.parametrize("text", ["s3cret-token\n", " s3cret-token\r\n", "\ts3cret-token  \n\n"])
def test_what_stands_around_a_token_is_no_part_of_it(write, text):
    assert load({"HOME": "/h", "DAP_GATEWAY_TOKEN": text}).token == "s3cret-token"
    assert load(write(f"[gateway]\ntoken = '''{text}'''\n")).token == "s3cret-token"


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o660])
def test_a_file_with_a_token_that_others_can_read_is_refused(write, mode):
    env = write("[gateway]\ntoken = 's3cret-token'\n")
    path = Path(env["XDG_CONFIG_HOME"]) / "dap/config.toml"
    assert load(env).token
    path.chmod(mode)

    with pytest.raises(ConfigError, match="chmod 600") as caught:
        load(env)
    assert "s3cret" not in str(caught.value)
    assert load(env | {"DAP_GATEWAY_TOKEN": "another"}).token == "another"
    path.write_text("[clusters.default]\n")
    load(env)


@pytest.mark.parametrize(
    "text", ["s3cret\ntoken", "s3cret token", "s3cret\x00", "s3crét", "s3cret\udce9", "s3cret\x7f"]
)
def test_a_token_that_no_header_can_carry_is_refused_and_not_shown(text):
    with pytest.raises(ConfigError, match=r"gateway\.token \(environment DAP_GATEWAY_TOKEN\)") as caught:
        load({"HOME": "/h", "DAP_GATEWAY_TOKEN": text})

    assert "s3cr" not in str(caught.value)


def test_a_token_is_in_no_repr():
    assert "s3cret" not in repr(load({"HOME": "/h", "DAP_GATEWAY_TOKEN": "s3cret-token"}))


def test_a_public_url_loses_its_slash(write):
    assert load(write('[gateway]\npublic_url = "https://x/"\n')).public_url == "https://x"


UNUSABLE = [
    ("x", "not valid TOML"),
    ("[gateway", "not valid TOML"),
    (b"\xff\xfe\x00", "cannot read"),
    ("[gatway]\n", "unknown table 'gatway'"),
    ("gateway = 1\n", "gateway must be a table"),
    ("[clusters]\ndefault = 1\n", "default must be a table"),
    ("[clusters.default]\nmode = 'fast'\n", "use one of auto, relay, plain"),
    ("[clusters.default]\nvmm = 'x'\n", "unknown setting clusters.default.vmm"),
    ("[gateway]\nlisten = 8080\n", "gateway.listen must be text"),
    ("[gateway]\nlistn = 'x'\n", "unknown setting gateway.listn"),
    ("[gateway]\nallowed_hosts = [1]\n", "gateway.allowed_hosts must be text"),
    ("[limits]\nping = 0\n", "limits.ping must be a number above 0"),
    ("[limits]\nping = -1\n", "above 0"),
    ("[limits]\nping = '1'\n", "above 0"),
    ("[limits]\nping = true\n", "above 0"),
    ("[limits]\nping = nan\n", "above 0"),
    ("[limits]\nping = inf\n", "above 0"),
    ("[limits]\njournal_memory = 0.5\n", "above 0"),
    ("[limits]\nidle = -1\n", "0 (off) or a number above it"),
    ("[limits]\nsessions = 0.5\n", "0 (off) or a number above it"),
    ("[limits]\nsessions_per_target = true\n", "0 (off) or a number above it"),
    ("[limits]\nnope = 1\n", "unknown setting limits.nope"),
    ("[clusters.UPPER]\n", "cluster name"),
    ("[clusters.default]\nnamespace = 'Shop'\n", "'Shop' is not a namespace name"),
    ("[clusters.default]\nnamespace = '-n'\n", "clusters.default.namespace ("),
    ("[clusters.'a/b']\n", "cluster name"),
    ("[clusters.default]\nvm = '-T'\n", "clusters.default.vm ("),
    ("[clusters.default]\nvm = 'far:-T'\n", "'far:-T'; name an Incus instance"),
    ("[clusters.default]\nvm = ':runner'\n", "name an Incus instance"),
    ("[clusters.default]\nvm = 'far:'\n", "name an Incus instance"),
    ("[clusters.default]\nincus_project = '-x'\n", "'-x'; name an Incus project"),
    ('[clusters.default]\nincus_project = "a\\u001bb"\n', "clusters.default.incus_project ("),
    ("[clusters.default]\nkubectl = ''\n", "clusters.default.kubectl ("),
    ("[clusters.default]\nkubectl = '  '\n", "name a program"),
    ("[clusters.default]\nkubectl = '-v kubectl'\n", "name a program"),
    ("[clusters.default]\nkubectl = 'k3s \"'\n", "name a program"),
    ('[clusters.default]\nkubectl = "a\\u0000b"\n', "name a program"),
]


def test_what_cannot_be_used_is_named(write, subtests):
    for text, words in UNUSABLE:
        with subtests.test(repr(text)):
            with pytest.raises(ConfigError) as caught:
                load(write(text))

            assert words in str(caught.value)
            assert "\n" not in str(caught.value)


def test_kubectl_is_the_words_of_a_command_and_the_context_comes_behind_them(write):
    def begin(text):
        return load(write(f"[clusters.default]\n{text}\n")).clusters["default"].kubectl_argv

    assert begin("") == ("kubectl",)
    assert begin("kubectl = 'k3s kubectl'") == ("k3s", "kubectl")
    assert begin("kubectl = '\"/opt/my kube/kubectl\"'\nkube_context = 'a b'") == (
        "/opt/my kube/kubectl", "--context", "a b",
    )  # fmt: skip


def test_an_instance_may_be_behind_a_remote(write):
    cluster = load(write("[clusters.default]\nvm = 'far:runner'\nincus_project = 'shop'\n")).clusters[
        "default"
    ]

    assert (cluster.vm, cluster.incus_project) == ("far:runner", "shop")


def test_a_file_that_cannot_be_read_is_named(tmp_path):
    (tmp_path / "dap" / "config.toml").mkdir(parents=True)

    with pytest.raises(ConfigError, match=r"cannot read .*config\.toml"):
        load({"HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path)})


def test_limits_come_from_the_file_and_keep_their_kind(write):
    limits = load(write("[limits]\nping = 3\njournal_capacity = 1048576\nstdin_capacity = 2e6\n")).limits

    assert (limits.ping, limits.journal_capacity, limits.stdin_capacity) == (3, 1 << 20, 2_000_000)
    assert isinstance(limits.stdin_capacity, int)
    assert limits.close == Limits.close


def test_what_may_be_off_is_off_with_0(write):
    off = (
        "idle", "max_age", "spools", "spools_per_identity", "sessions", "sessions_reserved",
        "sessions_per_identity", "sessions_per_target",
    )  # fmt: skip
    limits = load(write("[limits]\n" + "".join(f"{name} = 0\n" for name in off))).limits

    assert [getattr(limits, name) for name in off] == [0] * len(off)
    for row in fields(Limits):
        if row.name not in off:
            assert getattr(Limits(), row.name) > 0
            with pytest.raises(ConfigError, match="above 0"):
                load(write(f"[limits]\n{row.name} = 0\n"))


def test_terminals_end_by_themselves_only_where_somebody_wants_that():
    assert (Limits().idle, Limits().max_age) == (0, 0)


def test_paths_follow_the_desktop_and_fall_back_to_home():
    env = {"HOME": "/h"}
    assert config_path(env) == Path("/h/.config/dap/config.toml")
    assert state_dir(env) == Path("/h/.local/state/dap")
    assert socket_paths(env)[0] == Path("/h/.local/state/dap/gateway.sock")
    full = env | {"XDG_CONFIG_HOME": "/c", "XDG_STATE_HOME": "/s", "XDG_RUNTIME_DIR": "/r"}
    assert config_path(full) == Path("/c/dap/config.toml")
    assert state_dir(full) == Path("/s/dap")
    assert socket_paths(full)[0] == Path("/r/dap/gateway.sock")
    assert config_path(env | {"XDG_CONFIG_HOME": ""}) == Path("/h/.config/dap/config.toml"), "empty is unset"


def test_a_home_in_paths_is_the_users(write):
    env = write(
        "[clusters.default]\nssh_key = '~/keys/k'\nssh_known_hosts = '/etc/known'\nssh_config = '~/c'\n"
    )

    cluster = load(env).clusters["default"]

    assert cluster.ssh_key == Path(env["HOME"]) / "keys/k"
    assert cluster.ssh_known_hosts == Path("/etc/known")
    assert cluster.ssh_config == f"{env['HOME']}/c"


def test_a_home_of_another_user_is_that_users(write):
    root = pwd.getpwuid(0)
    env = write(f"[clusters.default]\nssh_key = '~{root.pw_name}/k'\nssh_known_hosts = '~'\n")

    cluster = load(env).clusters["default"]

    assert cluster.ssh_key == Path(root.pw_dir) / "k"
    assert cluster.ssh_known_hosts == Path(env["HOME"])
    with pytest.raises(ConfigError, match=r"'~no-such-user/k' names the home of 'no-such-user'"):
        load(env | {"DAP_RUNNER_SSH_KEY": "~no-such-user/k"})


@pytest.mark.parametrize("env", [{}, {"HOME": ""}, {"HOME": "."}, {"HOME": "~"}, {"HOME": "home/me"}])
def test_without_a_home_in_the_environment_it_is_that_of_passwd(env, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    mine = Path(pwd.getpwuid(os.getuid()).pw_dir)

    assert home(env) == mine
    assert config_path(env) == mine / ".config/dap/config.toml"
    assert socket_paths(env)[0] == state_dir(env) / "gateway.sock" == mine / ".local/state/dap/gateway.sock"
    more = {"XDG_CONFIG_HOME": str(tmp_path), "DAP_RUNNER_VM": "v"}
    default = load(env | more).clusters["default"]
    assert default.ssh_key == mine / ".ssh/id_ed25519"
    assert default.ssh_known_hosts == mine / ".ssh/known_hosts"


def test_a_user_without_any_home_is_told_to_set_it(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(os, "getuid", lambda: 2_000_000_011)
    for find in (home, config_path, state_dir, socket_paths, load):
        with pytest.raises(ConfigError, match="set HOME"):
            find({"HOME": ""})
    full = {"XDG_CONFIG_HOME": "/c", "XDG_STATE_HOME": "/s", "XDG_RUNTIME_DIR": "/r"}
    assert config_path(full) == Path("/c/dap/config.toml")
    assert socket_paths(full)[0] == Path("/r/dap/gateway.sock")


def test_a_relative_base_directory_is_ignored():
    env = {"HOME": "/h", "XDG_CONFIG_HOME": "c", "XDG_STATE_HOME": "./s", "XDG_RUNTIME_DIR": "~/r"}

    assert config_path(env) == Path("/h/.config/dap/config.toml")
    assert socket_paths(env)[0] == state_dir(env) / "gateway.sock" == Path("/h/.local/state/dap/gateway.sock")


def test_ssh_config_is_empty_for_sshs_own_files_a_file_or_none(write):
    assert load(write("[clusters.default]")).clusters["default"].ssh_config == ""
    for named in ("none", "/etc/other", "other"):
        cluster = load(write("") | {"DAP_RUNNER_SSH_CONFIG": named}).clusters["default"]
        assert cluster.ssh_config == named
        assert "ssh_config" in cluster.explicit


@pytest.mark.parametrize("name", ["", "-h", "a\nb", "a\0b", "\x1b[2J"])
def test_what_can_be_no_instance_is_refused(write, name):
    with pytest.raises(ConfigError, match="name an Incus instance"):
        load(write("") | {"DAP_RUNNER_VM": name})


def test_in_whose_name_a_cluster_is_asked(write):
    assert load(write("[clusters.default]")).clusters["default"].impersonate == "none"
    assert load(write('[clusters.default]\nimpersonate = "user"')).clusters["default"].impersonate == "user"
    with pytest.raises(ConfigError, match="impersonate is 'group'; use one of none, user"):
        load(write('[clusters.default]\nimpersonate = "group"'))
