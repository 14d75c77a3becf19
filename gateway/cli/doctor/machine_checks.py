"""Checks for `dap doctor` what this machine gives: directories, and the proxy to a gateway elsewhere."""

from collections.abc import Iterator

from gateway.cli.doctor.check import Check, failed, noted
from gateway.client.endpoint import Endpoint
from gateway.client.proxy import ProxyUnusable
from gateway.client.reach import proxy_of
from gateway.private_directory import private_directory
from gateway.settings.paths import creatable, passed_over, runtime_dir


def directory_checks() -> Iterator[Check]:
    """Yields what is wrong with the directories of a gateway on this machine: nothing where all can be used."""
    problems = passed_over()
    runtime = runtime_dir()
    if runtime and not problems and not creatable(runtime):
        problems = [f"XDG_RUNTIME_DIR is {runtime.parent}, where nothing can be made"]
    for problem in problems:
        yield noted("directories", f"{problem}: dap serve puts its socket into the state directory")
    try:
        with private_directory():
            pass
    except OSError as error:
        yield failed("directories", f"no temporary file can be made: {error.strerror or error}", "set TMPDIR")


def proxy_checks(endpoint: Endpoint) -> Iterator[Check]:
    """Yields which proxy leads to the gateway; nothing where none does."""
    try:
        proxy = proxy_of(endpoint)
    except ProxyUnusable as error:
        yield failed("proxy", str(error), "mend that variable, or name the gateway's host in NO_PROXY")
        return
    if proxy:
        yield noted("proxy", f"{endpoint} is reached through {proxy}, which {proxy.origin} names")
