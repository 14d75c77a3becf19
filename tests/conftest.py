"""Fixtures: a chain to test against, a gateway on it, and the check that a test leaves nothing behind."""

import gc
import os
import signal
import sys
import traceback
from pathlib import Path
from types import MappingProxyType

import pytest
import structlog
from hypothesis import settings
from support import leaks
from support.beside import demo_beside
from support.compiled_relay import compiled
from support.dap import Done, Home, environment
from support.repeated import LAB_CHAINS, again, examples
from support.served import cluster_at, config_for, served

from gateway.backends.relay import bootstrap
from gateway.demo import demo_chain

gc.disable()  # until all tests are collected: nothing of them is garbage, and looking for some is a tenth of the work
settings.register_profile("examples", examples(random=True))
settings.load_profile("examples")
SKIPS = Path(__file__).with_name("skips.txt")
# A shell's background job, or nohup, ignores these, and so would every program under test
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGQUIT, signal.SIG_DFL)
signal.signal(signal.SIGHUP, signal.SIG_DFL)
# `python3` is an interpreter in every program under test: a version manager's is a script of 90 ms of a processor
os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
# A gateway's task groups nest deeper than the ten that are shown, and what failed is in the last one
traceback.TracebackException.__init__.__kwdefaults__["max_group_depth"] = 40
# What a gateway in the tests' process says is in their report, and not in what a command prints that is called there
structlog.configure(logger_factory=structlog.stdlib.LoggerFactory())
NO_LAB = "no real chain: DAP_LAB is not set"


@pytest.fixture(autouse=True)
def nothing_left():
    """File descriptors and child processes are back where they started."""
    with leaks.unchanged():
        yield


@pytest.fixture(scope="session", autouse=True)
def relays_start_soon():
    """Gateways in the tests' process send their relays bytecode, too; those in processes of their own send what they do."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bootstrap, "bundle", compiled)
        yield


@pytest.fixture
def home(tmp_path):
    """An empty home directory for `dap`."""
    (tmp_path / "run").mkdir(mode=0o700)
    return Home(tmp_path)


@pytest.fixture
def called(home, capfdbinary):
    """Runs `dap` in this process and not in one of its own, without input. What answers it is in a loop `beside`; in the
    test's own, where it is called from a thread and opens no session.
    """

    def run(*arguments, env=MappingProxyType({})):
        from gateway.cli.main import main

        capfdbinary.readouterr()
        with environment(home, {"COLUMNS": "80", **env}) as patch:
            patch.setattr(sys, "argv", ["dap", *arguments])
            with pytest.raises(SystemExit) as ended:
                main()
            out, err = capfdbinary.readouterr()
        return Done(ended.value.code, out, err.decode())

    return run


@pytest.fixture(scope="module")
def demo():
    """The demo's chain, one for all tests of a module: none of them may change it."""
    with demo_beside() as settings:
        yield settings


@pytest.fixture
async def own_demo():
    """A demo's chain that a test may change, or leave something running on that the chain's end will end."""
    async with demo_chain() as settings:
        yield settings


@pytest.fixture(params=[again("demo-plain"), again("demo-relay"), "demo-api", *LAB_CHAINS])
def cluster(request, demo):
    """The cluster that a test works on: the embedded demo, and the real chain where there is one, each way (`api`: over a
    relay, without kubectl).
    """
    where, mode = request.param.split("-")
    mode, way = ("relay", "api") if mode == "api" else (mode, "kubectl")
    if where == "demo":
        return cluster_at(demo.ssh_host, demo.ssh_key, demo.known_hosts, demo.instance, mode=mode, way=way)
    if not os.environ.get("DAP_LAB"):
        pytest.skip(NO_LAB)
    names = ("DAP_RUNNER_SSH_HOST", "DAP_RUNNER_SSH_KEY", "DAP_RUNNER_SSH_KNOWN_HOSTS", "DAP_RUNNER_VM")
    host, key, known_hosts, instance = (os.environ[name] for name in names)
    return cluster_at(host, Path(key), Path(known_hosts), instance, mode=mode, way=way)


@pytest.fixture
async def gateway(cluster, tmp_path):
    """A running gateway with `cluster` as its default; checked for leaks at the end."""
    async with served(config_for(cluster), tmp_path) as running:
        yield running


def pytest_collection_modifyitems(items):
    """A browser's tests are the longest folder: they begin first, and what is short fills up the other workers."""
    items.sort(key=lambda item: item.get_closest_marker("browser") is None)


def pytest_collection_finish():
    """What collection has made stays to the end: no look for garbage need go through it again, as some tests ask for."""
    gc.collect()
    gc.freeze()
    gc.enable()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport():
    """pytest-xdist sends reports as UTF-8, and output of a test may hold what is none (a lone surrogate)."""
    report = yield
    report.sections = [(title, _as_utf8(text)) for title, text in report.sections]
    if report.failed and _as_utf8(report.longreprtext) != report.longreprtext:
        report.longrepr = _as_utf8(report.longreprtext)
    return report


def _as_utf8(text):
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def pytest_sessionfinish(session, exitstatus):
    """With DAP_STRICT_SKIPS a skip whose reason is not in skips.txt fails the run: nothing is skipped unsaid.

    Under pytest-xdist the reports of all workers come together in the controller, which alone has a reporter.
    """
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if not os.environ.get("DAP_STRICT_SKIPS") or exitstatus or reporter is None:
        return
    known = [line for line in SKIPS.read_text("utf-8").splitlines() if line and not line.startswith("#")]
    reasons = {str(report.longrepr[2]) for report in reporter.stats.get("skipped", [])}
    for reason in reasons:
        if not any(reason.removeprefix("Skipped: ").startswith(line) for line in known):
            reporter.write_line(f"a skip that is not in tests/skips.txt: {reason}", red=True)
            session.exitstatus = pytest.ExitCode.TESTS_FAILED
