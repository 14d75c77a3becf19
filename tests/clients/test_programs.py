"""Helm and k9s, unmodified, with the kubeconfig that `dap kubeconfig` writes and straight at the API server."""

import json
import shutil
import subprocess
import time
from pathlib import Path

import pytest
from support import lab
from support.conformance import CLIENTS, SERVES, deployment

pytestmark = [pytest.mark.lab, pytest.mark.alone, pytest.mark.timeout(180)]
CONFIG = {
    "apiVersion": "v1",
    "kind": "ConfigMap",
    "metadata": {"name": "{{ .Release.Name }}"},
    "data": {"a": "{{ .Values.a }}"},
}


def built(name):
    """Returns the program that hack/clients builds."""
    path = CLIENTS / "go" / "build" / name
    if not path.exists():
        pytest.skip(f"no {name}: hack/clients {name} builds it")
    return str(path)


@pytest.fixture(scope="module", autouse=True)
def any_built():
    """Nothing is put into the cluster where no program is there to read it."""
    programs = [CLIENTS / "go" / "build" / name for name in ("helm", "k9s")]
    if not any(map(Path.exists, programs)):
        pytest.skip("no helm, no k9s: hack/clients helm k9s builds them")


@pytest.fixture
def chart(tmp_path):
    """A chart of a ConfigMap and a deployment."""
    (tmp_path / "chart" / "templates").mkdir(parents=True)
    for name, content in (
        ("Chart.yaml", {"apiVersion": "v2", "name": "one", "version": "0.1.0"}),
        ("values.yaml", {"a": "1"}),
        ("templates/config.yaml", CONFIG),
        ("templates/deployment.yaml", deployment("helm", SERVES)),
    ):
        (tmp_path / "chart" / name).write_text(json.dumps(content))
    return tmp_path / "chart"


def helm(side, *words):
    """Returns exit code, stdout and stderr, without the side's own name."""
    done = subprocess.run(
        [built("helm"), "--kubeconfig", side.config, "--namespace", side.space, *words],
        env=side.home, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    return done.returncode, side.settled(done.stdout), side.settled(done.stderr)


def listed(side):
    """Returns what `helm list` says of each release, but when that was."""
    code, out, err = helm(side, "list", "-o", "json")
    assert code == 0, err
    return [
        [one[key] for key in ("name", "namespace", "revision", "status", "chart")] for one in json.loads(out)
    ]


def stored(side):
    return lab.kubectl("get", "configmap", "first", "-n", side.space, "-o", "jsonpath={.data.a}")


def test_helm_installs_lists_upgrades_and_uninstalls(sides, chart):
    def story(side):
        waits = ("--wait", "--timeout", "60s", "-o", "json")
        code, out, err = helm(side, "install", "first", str(chart), *waits)
        assert code == 0, err
        found = [json.loads(out)["info"]["status"], listed(side), stored(side)]
        code, _, err = helm(side, "upgrade", "first", str(chart), "--set", "a=2", *waits)
        assert code == 0, err
        found += [listed(side), stored(side), helm(side, "install", "first", str(chart))]
        found += [helm(side, "uninstall", "first", "--wait"), listed(side), helm(side, "status", "first")]
        return found

    ours, straight = map(story, sides)
    assert ours == straight
    assert [ours[0], ours[1][0][2:4], ours[2], ours[3][0][2:4], ours[4]] == [
        "deployed", ["1", "deployed"], "1", ["2", "deployed"], "2",
    ]  # fmt: skip
    assert [ours[5][0], ours[6][0], ours[7], ours[8][0]] == [1, 0, [], 1]


@pytest.mark.skipif(not shutil.which("tmux"), reason="no tmux")
def test_k9s_reaches_its_list_of_pods(sides):
    program = built("k9s")
    for side in sides:
        pod = side.env["CONFORMANCE_POD"]
        socket = side.directory / "tmux"
        tmux = ["tmux", "-f", "/dev/null", "-S", str(socket)]
        words = [program, "--kubeconfig", str(side.config), "-n", side.space, "-c", "pods"]
        subprocess.run(
            [*tmux, "new-session", "-d", "-x", "180", "-y", "40", *words], env=side.home, check=True
        )
        try:
            screen, end = "", time.monotonic() + 60
            while not (pod in screen and "Running" in screen):
                assert time.monotonic() < end, screen
                time.sleep(0.5)
                screen = subprocess.run(
                    [*tmux, "capture-pane", "-p"], capture_output=True, text=True, check=True
                ).stdout
            print(f"{side.name}:\n{screen}")  # noqa: T201 - read with -s
        finally:
            subprocess.run([*tmux, "kill-server"], check=False)
