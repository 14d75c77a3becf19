"""`dap with` and `dap kubectl`: a command with a kubeconfig of its own, its exit status and its signals."""

import json
import os
import signal
import sys

import pytest
from support.beside import beside
from support.dap import on_a_terminal
from support.fake_gateway import fake_gateway
from support.real_kubectl import programs
from support.repeated import again
from test_list_and_kill import nobody

pytestmark = pytest.mark.timeout(60)
CLUSTERS = [{"name": "default", "path": "", "namespace": "shop"}, {"name": "two", "path": "/clusters/two", "namespace": None}]  # fmt: skip
KUBECONFIG = {"/gateway/v1/kubeconfig": (200, {"urls": ["https://localhost:8443"], "ca": "PEM", "missing": "", "clusters": CLUSTERS})}  # fmt: skip


@pytest.fixture
def chain(demo):
    """The environment that leads to a demo chain, over the relay."""
    return {
        "DAP_RUNNER_SSH_HOST": demo.ssh_host, "DAP_RUNNER_SSH_KEY": str(demo.ssh_key),
        "DAP_RUNNER_SSH_KNOWN_HOSTS": str(demo.known_hosts), "DAP_RUNNER_VM": demo.instance,
    }  # fmt: skip


@pytest.fixture
def temporary(home):
    """The directory for temporary files of `dap`, which has to be empty afterwards."""
    path = home.path / "t"
    path.mkdir()
    yield {"TMPDIR": str(path)}
    assert list(path.iterdir()) == []


@pytest.fixture
def gateway(home):
    with beside(fake_gateway(nobody, home.socket, http=KUBECONFIG)) as running:
        yield running


@pytest.mark.usefixtures("gateway")
async def test_a_command_has_a_kubeconfig_that_is_gone_afterwards(home, temporary):
    script = 'cat "$KUBECONFIG"; stat -c %a "$KUBECONFIG" >&2; cat >&2; exit 7'
    done = await home.dap("with", "--cluster", "two", "--", "sh", "-c", script, data=b"in", env=temporary)

    config = json.loads(done.out)
    assert (done.code, done.err) == (7, "600\nin")
    assert config["current-context"] == "dap-two"
    assert config["users"][0]["user"]["exec"]["args"][-1] == "token"


@pytest.mark.usefixtures("gateway")
@pytest.mark.parametrize(("name", "code"), [("none-such", 127), ("text", 126), again("t", 126)])
def test_a_command_that_cannot_be_started(home, called, temporary, name, code):
    """It is not there, is no program, is a directory."""
    (home.path / "text").write_text("no program")
    done = called("with", "--", f"{home.path}/{name}", env=temporary)

    assert (done.code, done.out) == (code, b"")
    assert done.err.startswith(f"dap: {home.path}/{name}: ")


def test_without_a_command_it_says_so(called, temporary):
    done = called("with", "kubectl", "get", "pods", env=temporary)

    assert done.code == 2
    assert "put -- before the command" in done.err


@pytest.mark.usefixtures("gateway")
def test_without_a_cluster_it_says_so(called, temporary):
    done = called("with", "--cluster", "none", "--", "true", env=temporary)

    assert done.code == 2
    assert "there are: default, two" in done.err


@pytest.mark.usefixtures("gateway")
@pytest.mark.parametrize(
    ("number", "does", "code"),
    [
        (signal.SIGTERM, "echo started; exec sleep 60", 143), again(signal.SIGHUP, "echo started; exec sleep 60", 129), (signal.SIGINT, "echo started; exec sleep 60", 130),
        (signal.SIGTERM, "trap 'echo ended; exit 3' TERM; echo started; while :; do read x; done", 3),
    ],
)  # fmt: skip
async def test_signals_are_passed_on_and_the_status_is_the_commands(home, temporary, number, does, code):
    words = ("with", "--", "sh", "-c", does)
    process = await home.start(*words, env=temporary, start_new_session=True)
    assert await process.stdout.readline() == b"started\n"
    process.send_signal(number)
    out, err = await process.communicate()

    assert (process.returncode, err) == (code, b"")
    assert out == (b"ended\n" if code == 3 else b"")


@pytest.mark.usefixtures("gateway")
async def test_ctrl_c_on_a_terminal_reaches_the_command_once(home, temporary):
    count = (
        "import signal, sys\n"
        "signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])\n"
        "print('ready', flush=True)\n"
        "signal.sigwait([signal.SIGINT])\n"
        "sys.exit(5 if signal.sigtimedwait([signal.SIGINT], 0.2) else 4)"
    )
    words = ("with", "--", sys.executable, "-c", count)
    async with on_a_terminal(home, *words, env=temporary) as screen:
        await screen.until(b"ready")
        screen.type(b"\x03")
        assert await screen.ended() == 4


@pytest.mark.usefixtures("gateway")
def test_kubectl_gets_its_words_as_they_are(home, called, temporary):
    path = home.path / "bin" / "kubectl"
    path.parent.mkdir()
    path.write_text('#!/bin/sh\nprintf "%s\\n" "$@"; test -s "$KUBECONFIG"\n')
    path.chmod(0o755)
    env = temporary | {"PATH": f"{path.parent}:{os.environ['PATH']}"}
    done = called("kubectl", "-n", "shop", "exec", "-it", "web-0", "--help", "--", "ls", "--", "-l", env=env)
    ours = called("kubectl", "--help", env=env)

    assert (done.code, done.err) == (0, "")
    assert done.out.decode().split() == [
        "-n",
        "shop",
        "exec",
        "-it",
        "web-0",
        "--help",
        "--",
        "ls",
        "--",
        "-l",
    ]
    assert b"dap kubectl get pods" in ours.out


async def test_a_gateway_of_its_own_serves_kubectl_and_leaves_nothing(home, chain, temporary):
    kubectl = next((one for one in programs().values() if one.exists()), None)
    if kubectl is None:
        pytest.skip("this machine has no kubectl")
    script = '"$0" get pods -o name && "$0" get pod none'
    words = ("with", "--", "sh", "-c", script, str(kubectl))
    done = await home.dap(*words, env=chain | temporary | {"DAP_GATEWAY_TLS_LISTEN": "none"})

    assert "pod/web-0" in done.out.decode().split(), done.err
    assert done.code == 1
    assert done.err.splitlines()[0].startswith("dap: no gateway is running, so this command runs its own")
    assert "NotFound" in done.err
    log = (home.path / "state" / "dap" / "gateway.log").read_text()
    assert "request_defect" not in log


@pytest.mark.timeout(30)
def test_a_cluster_that_cannot_be_reached_is_kubectls_to_tell(called, temporary):
    env = temporary | {"DAP_RUNNER_SSH_HOST": "nobody@127.0.0.1:1", "DAP_RUNNER_SSH_CONFIG": "none"}
    done = called("with", "-q", "--", "sh", "-c", "echo ran", env=env)
    assert (done.code, done.out, done.err) == (0, b"ran\n", "")
