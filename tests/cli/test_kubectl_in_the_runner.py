"""`dap kubectl` on a machine without a kubectl: the runner's, with its words intact, and what it cannot do refused."""

import os
import sys
from pathlib import Path

import pytest
from support.dap import on_a_terminal

from gateway.cli.kubectl_words import for_runner
from gateway.protocol.errors import BadRequest

pytestmark = pytest.mark.timeout(60)
FILES = [
    "apply -f pods.yaml", "apply -fpods.yaml", "apply -f=pods.yaml", "apply --filename pods.yaml", "apply --filename=x", "apply -Rf dir", "delete -f .",
    "apply -f - -f x", "logs web-0 --filename x", "apply -k dir", "apply -kdir", "apply --kustomize=dir", "kustomize dir", "create cm x --from-file=a",
    "create cm x --from-file a", "create cm x --from-env-file=a", "create secret tls x --cert=a --key=b", "create secret tls x --key b", "patch pod x --patch-file y",
    "cp a web-0:b", "-n shop cp web-0:b a", "edit pod x", "-n shop edit pod x", "apply edit-last-applied pod x", "create --edit -f -", "config use-context x",
    "--kubeconfig x get pods", "--kubeconfig=x get pods", "get pods --kubeconfig x", "--certificate-authority=x get pods", "--client-key x get pods",
    "get pods -o jsonpath-file=x", "get pods -ogo-template-file=x", "get pods -o=custom-columns-file=x", "cluster-info dump --output-directory=x", "--cache-dir x get pods",
    "--profile-output=x get pods", "debug web-0 --custom=x", "proxy", "port-forward web-0 80", "plugin list", "kuberc set", "neat get pod", "-v 6 ctx", "get pods --server x",
    "-s x get pods", "--cluster=x get pods", "--user x get pods", "get --log-file=x pods",
]  # fmt: skip
PASSES = [
    "get pods", "-n shop get pods -o wide", "logs -f web-0", "logs -fp web-0", "logs web-0 --follow", "version", "", "--help",
    "get pods -o jsonpath={.items}", "top pods", "get pods --as=viewer", "patch pod x -p {}", "wait pod/x --for=condition=Ready", "apply -f https://example.com/x.yaml",
]  # fmt: skip
READS = ["apply -f -", "apply -f-", "apply --filename=-", "apply --filename -", "exec -i web-0 -- cat", "exec -it web-0 -c main -- ls -f x", "run x --image=y --stdin", "delete pod x --interactive"]  # fmt: skip


@pytest.mark.parametrize("line", FILES)
def test_what_needs_this_machine_is_refused(line):
    with pytest.raises(BadRequest) as refused:
        for_runner(tuple(line.split()))

    assert str(refused.value).isprintable()


@pytest.mark.parametrize("line", [*PASSES, *READS])
def test_all_else_passes_as_it_is(line):
    words = tuple(line.split())
    head = words[: words.index("--")] if "--" in words else words

    found = for_runner(head)

    assert (found.argv, found.context, found.reads) == (head, "", line in READS)


def test_a_context_chooses_the_cluster():
    for words in (("--context", "dap-two", "get", "pods"), ("get", "pods", "--context=dap-two")):
        found = for_runner(words)
        assert (found.argv, found.context) == (("get", "pods"), "dap-two")


@pytest.mark.parametrize("word", ["--as=x", "--as-group=x", "--as-uid=x"])
def test_another_name_is_refused_where_the_cluster_is_asked_in_ones_own(word):
    assert for_runner(("get", "pods", word)).argv[-1] == word
    with pytest.raises(BadRequest, match="in your own name"):
        for_runner(("get", "pods", word), impersonates=True)


@pytest.fixture
def chain(demo, home):
    """The environment that leads to a demo chain, and to no kubectl."""
    return {
        "DAP_RUNNER_SSH_HOST": demo.ssh_host, "DAP_RUNNER_SSH_KEY": str(demo.ssh_key),
        "DAP_RUNNER_SSH_KNOWN_HOSTS": str(demo.known_hosts), "DAP_RUNNER_VM": demo.instance, "PATH": without_kubectl(home.path),
    }  # fmt: skip


def without_kubectl(path):
    """A PATH with what a process of ours needs, and no kubectl."""
    programs = path / "bin"
    programs.mkdir()
    for name in ("sh", "bash", "ssh"):
        found = next(
            (Path(one) / name for one in os.environ["PATH"].split(":") if (Path(one) / name).exists()), None
        )
        if found:
            (programs / name).symlink_to(found)
    return (
        f"{programs}:{Path(sys.executable).parent}"
        if not (Path(sys.executable).parent / "kubectl").exists()
        else str(programs)
    )


async def test_words_bytes_and_exit_codes_pass(home, chain):
    odd = ("a b", "", "$HOME", "'", '"', "\\", "*", "ü")
    script = 'for one in "$@"; do printf "%s|" "$one"; done; cat; echo err >&2; exit 7'
    data = os.urandom(1 << 16)
    words = ("kubectl", "exec", "-i", "web-0", "--", "sh", "-c", script, "sh", *odd)
    done = await home.dap(*words, data=data, env=chain)

    assert done.code == 7, done.err
    assert done.out == ("|".join(odd) + "|").encode() + data
    assert "err\n" in done.err


def test_a_refusal_says_what_to_do_and_asks_nobody(home, called):
    done = called("kubectl", "apply", "-f", "pods.yaml", env={"PATH": without_kubectl(home.path)})

    assert (done.code, done.out) == (2, b"")
    assert done.err == (
        "dap: client: this machine has no kubectl, and the runner's cannot do this: 'pods.yaml' is a file of this machine, "
        "which the runner has not: pipe it into -f - (bad_request)\n"
    )


async def test_a_terminal_here_is_one_there(home, at):
    words = (
        "kubectl",
        "exec",
        "-it",
        "web-0",
        "--",
        "sh",
        "-c",
        "test -t 0 && stty size && read x && echo got $x",
    )
    async with on_a_terminal(home, *words, env=at | {"PATH": without_kubectl(home.path)}) as screen:
        await screen.until(b"\n")
        screen.type(b"it\r")
        await screen.until(b"got it")
        assert await screen.ended() == 0
