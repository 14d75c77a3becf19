"""`dap kubeconfig --merge`: what is somebody's own stays byte for byte, and what cannot be merged stays as it was."""

import asyncio
import json
import subprocess

import pytest
from support.fake_gateway import fake_gateway
from support.real_kubectl import programs
from test_list_and_kill import nobody

from gateway.cli.kubeconfig import user_file
from gateway.cli.kubeconfig.merge import NotMergeable, merged
from gateway.errors import ConfigError


def entries(*names, server="https://localhost:8443", user="dap"):
    plugin = {"exec": {"command": "/x/dap", "args": ["token"], "provideClusterInfo": False}}
    return {
        "apiVersion": "v1", "kind": "Config",
        "clusters": [{"name": name, "cluster": {"server": server}} for name in names],
        "contexts": [{"name": name, "context": {"cluster": name, "user": user}} for name in names],
        "users": [{"name": user, "user": plugin}], "current-context": names[0],
    }  # fmt: skip


OURS = entries("dap-default", "dap-two")
THEIRS = """\
# mine
apiVersion: v1
kind: Config
clusters:   # where
- cluster:
    server: https://one.example.com   # the first
  name: one

# the second
- name: "zwei: ü"
  cluster: {server: 'https://two.example.com'}
contexts:
- context:
    cluster: one
    user: ann
  name: one
current-context: one
users:
- name: ann
  user:
    token: |
      abc

# the end
preferences: {}
"""


def names(text, kind):
    import yaml

    return [one["name"] for one in yaml.safe_load(text)[kind]]


def test_what_is_anothers_stays_byte_for_byte():
    found = merged(THEIRS, OURS)

    assert found.current == "one"
    rest = [line for line in found.text.splitlines(keepends=True) if "dap" not in line]
    assert "".join(rest) == THEIRS
    assert names(found.text, "contexts") == ["one", "dap-default", "dap-two"]
    assert names(found.text, "users") == ["ann", "dap"]


def test_a_second_time_replaces_what_was_merged_before():
    first = merged(THEIRS, OURS).text
    assert merged(first, OURS).text == first

    moved = merged(first, entries("dap-default", server="https://localhost:9443")).text
    assert names(moved, "clusters") == ["one", "zwei: ü", "dap-default"], "dap-two is gone from the gateway"
    assert "8443" not in moved
    back = merged(moved, OURS).text
    assert back == first


def test_entries_of_another_gateway_stay():
    both = merged(merged(THEIRS, OURS).text, entries("dap-default@gw", user="dap@gw")).text

    assert names(both, "contexts") == ["one", "dap-default", "dap-two", "dap-default@gw"]
    assert names(both, "users") == ["ann", "dap", "dap@gw"]


@pytest.mark.parametrize(
    "text",
    [
        "", "\n", "# nothing yet", "{}", "{}\n# nothing yet\n", "apiVersion: v1", "apiVersion: v1\nclusters: null\ncontexts: []\nusers:\n",
        'apiVersion: v1\nclusters: [] # none\ncontexts: null\ncurrent-context: ""\nkind: Config\npreferences: {}\nusers: null\n',
        '{"apiVersion": "v1", "clusters": [], "contexts": null, "current-context": ""}', "apiVersion: v1\r\nusers:\r\n", "  kind: Config\n",
        "kind: Config\ncurrent-context:\n", "---\nkind: Config\n...\n", json.dumps(entries("dap-default", "dap-old")),
    ],
)  # fmt: skip
def test_an_empty_one_of_any_kind_gets_all_of_it(text):
    import yaml

    found = merged(text, OURS)

    assert found.current == "dap-default"
    read = yaml.safe_load(found.text)
    assert {key: read[key] for key in OURS if key in read} == {key: OURS[key] for key in OURS if key in read}
    assert {"clusters", "contexts", "users", "current-context"} <= read.keys()
    assert all(line.strip() in found.text for line in text.splitlines() if line.startswith("#"))


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("clusters: [", "no YAML"), ("a: b: c", "(line 1)"), ("- a\n", "no kubeconfig"), ("text", "no kubeconfig"),
        ("a: 1\n---\nb: 2\n", "no YAML"), ("a\tb: \x01", "no YAML"), ("clusters: {a: b}", "clusters is no list"), ("clusters: [3]", "clusters is no list"),
        ("contexts:\n- name: x\n  context: text\n", "contexts is no list"), ("users: [{name: dap, user: {token: abc}}]", "has a user 'dap'"),
        ("contexts: [{name: dap-default, context: {cluster: x, user: ann}}]", "has a context 'dap-default'"),
        ("users: &a []\nclusters: *a\n", "written in a way"), ("kind: a\nusers: []\nusers: []\n", "written in a way"), ("[" * 1000, "no YAML"),
        ("current-context: [a]\n", "current-context is no name"), ("contexts:\n- name: x\n  context: {user: [a]}\n", "context 'x' names no user"),
        ("contexts:\n- name: x\n  context: {user: dap, cluster: {a: b}}\n", "context 'x' names no user"),
    ],
)  # fmt: skip
def test_what_cannot_be_merged_says_why(text, why):
    with pytest.raises(NotMergeable) as error:
        merged(text, OURS)
    assert why in str(error.value)


def test_the_file_is_the_one_that_kubectl_writes(tmp_path):
    there, other = tmp_path / "there", tmp_path / "other"
    there.touch()
    assert user_file.path_of({"KUBECONFIG": f"{other}::{there}:{other}"}) == there
    assert user_file.path_of({"KUBECONFIG": f"{tmp_path}/a:{other}"}) == other
    assert user_file.path_of({"KUBECONFIG": "", "HOME": str(tmp_path)}) == tmp_path / ".kube" / "config"


def test_a_link_stays_a_link_and_the_file_is_private(tmp_path):
    (tmp_path / "kube").mkdir()
    real, link = tmp_path / "kube" / "real", tmp_path / "config"
    real.write_text(THEIRS)
    link.symlink_to("kube/real")

    user_file.merge(link, OURS)

    assert link.is_symlink()
    assert real.read_text() == merged(THEIRS, OURS).text
    assert real.stat().st_mode & 0o777 == 0o600
    assert {one.name for one in (*tmp_path.iterdir(), *real.parent.iterdir())} == {"kube", "real", "config"}


def refused(path):
    with pytest.raises(ConfigError) as error:
        user_file.merge(path, OURS)
    assert str(error.value).startswith(f"{path} was left as it was: ")
    return str(error.value)


def test_a_file_that_cannot_be_merged_is_left_as_it_was(tmp_path, monkeypatch):
    monkeypatch.setattr(user_file, "_PATIENCE", 0.1)
    path, lock = tmp_path / "config", tmp_path / "config.lock"
    path.write_bytes(b"\xff\xfe")
    assert "no UTF-8" in refused(path)
    path.write_text("clusters: [")
    assert "no YAML" in refused(path)
    assert not lock.exists()

    path.write_text(THEIRS)
    lock.touch()
    assert f"locked: a kubectl that writes it has made {lock}" in refused(path)
    assert lock.exists()
    lock.unlink()
    path.chmod(0o400)
    assert "read-only" in refused(path)
    assert (path.read_text(), path.stat().st_mode & 0o777) == (THEIRS, 0o400)
    path.unlink()
    path.mkdir()
    assert "no file that can be replaced" in refused(path)
    assert "no file that can be replaced" in refused(user_file.Path("/dev/null"))


async def test_the_command_says_what_it_did_and_kubectl_reads_it(home, called):
    clusters = [{"name": "default", "path": "", "namespace": "shop"}, {"name": "two", "path": "/clusters/two", "namespace": None}]  # fmt: skip
    body = {"urls": ["https://localhost:8443"], "ca": "PEM", "missing": "", "clusters": clusters}
    path = home.path / ".kube" / "config"
    async with fake_gateway(nobody, home.socket, http={"/gateway/v1/kubeconfig": (200, body)}):
        done = await home.dap("kubeconfig", "--merge")
        path.write_text(
            path.read_text().replace('"current-context": "dap-default"', '"current-context": "x"')
        )
        again = await asyncio.to_thread(called, "kubeconfig", "--merge", "--cluster", "two")
        path.write_text("clusters: [")
        broken = await asyncio.to_thread(called, "kubeconfig", "--merge")
        both = await asyncio.to_thread(called, "kubeconfig", "--merge", "--raw")

    assert (done.code, done.out) == (0, b"")
    assert (
        done.err
        == f"dap: merged into {path}: dap-default, dap-two\ndap: kubectl's current context is dap-default\n"
    )
    assert "current context is x (kubectl config use-context dap-two changes that)" in again.err
    assert (broken.code, both.code) == (2, 2)
    assert broken.err == f"dap: {path} was left as it was: it is no YAML that can be read (line 1)\n"
    assert path.read_text() == "clusters: ["


def test_kubectl_reads_what_was_merged_and_edits_it(tmp_path):
    kubectl = next((one for one in programs().values() if one.exists()), None)
    if kubectl is None:
        pytest.skip("this machine has no kubectl")
    path = tmp_path / "config"
    path.write_text(THEIRS)
    user_file.merge(path, OURS)

    def run(*words):
        done = subprocess.run(
            [kubectl, "--kubeconfig", path, "config", *words], capture_output=True, text=True, check=True
        )
        return done.stdout

    seen = json.loads(run("view", "--raw", "-o", "json"))
    assert [one["name"] for one in seen["contexts"]] == ["dap-default", "dap-two", "one"]
    assert next(one for one in seen["users"] if one["name"] == "dap")["user"]["exec"]["args"] == ["token"]
    run("use-context", "dap-two")
    assert user_file.merge(path, entries("dap-default")).current == "dap-default", "dap-two is gone"
    assert "dap-two" not in path.read_text()
    assert "one" in run("get-contexts", "-o", "name")
