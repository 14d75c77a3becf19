"""`dap pods`, and names that complete, from the demo that runs."""

import json
import logging
import sys

import pytest
from click.shell_completion import ShellComplete
from support.dap import Home

from gateway.cli.app import dap
from gateway.cli.main import main


@pytest.fixture(autouse=True)
def here(demo_home, monkeypatch):
    for name, value in demo_home.env.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def pods(monkeypatch, capsys):
    """Runs `dap pods` in this process; (exit code, stdout, stderr)."""

    def run(*words):
        monkeypatch.setattr(sys, "argv", ["dap", "pods", *words])
        try:
            with pytest.raises(SystemExit) as ended:
                main()
        finally:
            logging.disable(logging.NOTSET)
        return ended.value.code, *capsys.readouterr()

    return run


def test_the_default_namespaces_pods_as_kubectl_lays_them_out(pods):
    code, out, err = pods()
    head, *rows = [line.split() for line in out.splitlines()]
    assert (code, err) == (0, "")
    assert head == ["NAME", "READY", "STATUS", "RESTARTS", "AGE"]
    assert {"web-0", "bash-0"} <= {row[0] for row in rows}


def test_those_of_all_namespaces_and_of_one(pods):
    every, one = pods("-A"), pods("-n", "team-a", "--json")
    assert every[1].splitlines()[0].split()[:2] == ["NAMESPACE", "NAME"]
    assert ["team-a", "web-0"] in [line.split()[:2] for line in every[1].splitlines()]
    (row,) = json.loads(one[1])
    assert (row["namespace"], row["name"], row["status"]) == ("team-a", "web-0", "Running")


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["-n", "none"], 0, "dap: no pods in namespace none\n"),
        (["-A", "-l", "app=none"], 0, "dap: no pods in any namespace\n"),
        (["--cluster", "none"], 125, "(cluster_unknown)"),
    ],
)
def test_no_pods_and_no_cluster_are_said(pods, words, code, said):
    done = pods(*words)
    assert (done[0], done[1], said in done[2]) == (code, "", True), done


def completed(line):
    *words, incomplete = line.split(" ")[1:]
    found = ShellComplete(dap, {}, "dap", "_DAP_COMPLETE").get_completions(words, incomplete)
    return [one.value for one in found]


@pytest.mark.parametrize(
    ("line", "names"),
    [
        ("dap shell we", ["web-0"]),
        ("dap exec api", ["api-7c9d8f6b5d-4xkzq", "api-7c9d8f6b5d-m2v8p"]),
        ("dap shell deploy/", ["deploy/api"]),
        ("dap shell nothing/", []),
        ("dap shell -n team-a w", ["web-0"]),
        ("dap shell -n te", ["team-a"]),
        ("dap exec web-0 -c ", ["side", "main"]),
        ("dap exec web-0 -n team-a -c ", ["main"]),
        ("dap exec none -c ", []),
        ("dap exec deploy/api -c ", []),
        ("dap port-forward web", ["web-0"]),
        ("dap shell --cluster none w", []),
    ],
)
def test_names_complete(line, names):
    assert completed(line) == names


def test_without_a_gateway_nothing_completes_and_nothing_is_said(tmp_path, monkeypatch, capfd):
    for name, value in Home(tmp_path).env.items():
        monkeypatch.setenv(name, value)
    assert completed("dap shell w") == completed("dap shell -n d") == []
    assert capfd.readouterr() == ("", "")
