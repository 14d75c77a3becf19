"""A relay on this machine for each test, under every Python that is at hand and old enough to be of interest."""

import os
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest
from support.relayed import far_side, lasting_side


@cache
def older() -> str | None:
    """The path of a Python 3.9, or of the next one that is not this one's version."""
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv") / "versions"
    for minor in range(9, sys.version_info.minor):
        others = pyenv.glob(f"3.{minor}.*/bin/python3.{minor}")
        for found in filter(None, [shutil.which(f"python3.{minor}"), *map(str, others)]):
            text = "import sys; print(sys.executable)"
            done = subprocess.run([found, "-I", "-c", text], capture_output=True, text=True, check=False)
            if done.returncode == 0:
                return done.stdout.strip()
    return None


PYTHONS = [pytest.param("this", marks=[pytest.mark.repetition] if older() else []), "older"]


def _python(request):
    python = sys.executable if request.param == "this" else older()
    if python is None:
        pytest.skip("no older Python on this machine")
    return python


@pytest.fixture(params=PYTHONS)
def far(request):
    """Where relays run; checked to be gone at the end."""
    with far_side(_python(request)) as side:
        yield side


@pytest.fixture(params=PYTHONS, scope="module")
def lasting(request):
    """Where one relay runs for all tests of a module, which leave it as it is and every link that they make."""
    with lasting_side(_python(request)) as side:
        yield side
        assert_the_same(side, side.link())


@pytest.fixture
def link(far):
    """A link to a new relay."""
    return far.link()


@pytest.fixture
def shared_link(lasting):
    """A link to the module's relay, which no test before has ended. Behind the test its links are left, and what has a
    name is ended.
    """
    one = lasting.link_at_hand()
    assert_the_same(lasting, one)
    yield one
    lasting.leave()
    lasting.forget()


def assert_the_same(side, link):
    """The relay is the one that was there at first."""
    assert link.about["pid"] == side.links[0].about["pid"]
