"""What the rig takes for left behind: processes that somebody made up, and a gateway that keeps too much."""

import pytest
from faultrig import back
from faultrig.lab import Lab
from faultrig.parts import Place, Played

NONCE = "0123456789abcdef01234567"
KNOWN = f"11 bash -c … dap {NONCE} 6"
ROWS = f"""\
# pod web-0
17 sh -c loop riga
18 sh -c loop rigb
# runner
{KNOWN}
12 bash -c … dap {NONCE} 6 more
13 bash -c … dap {NONCE} 5
14   kubectl   exec   rigc
15 incusd
"""


@pytest.fixture
def lab(tmp_path):
    """Its fault command lists these."""
    script = tmp_path / "lab"
    script.write_text(f"#!/bin/sh\ncat <<'END'\n{ROWS}END\n")
    script.chmod(0o700)
    return Lab(f"{script} fault")


async def test_a_process_with_a_mark_or_a_wrapper_that_was_not_there_is_left_behind(lab):
    """Not a lease's, nor anybody else's."""
    left = await lab.left({"riga", "rigc"}, {KNOWN}, 0)

    assert left == ["17 sh -c loop riga", f"12 bash -c … dap {NONCE} 6 more", "14 kubectl exec rigc"]


async def test_nothing_is_left_of_a_session_that_is_gone(lab):
    assert await lab.left({"rigz"}, {KNOWN, f"12 bash -c … dap {NONCE} 6 more"}, 0) == []


class Grown:
    """A gateway that has more open than at its beginning."""

    mode = "relay"

    def __init__(self, **more):
        self.more = more

    async def metrics(self):
        return f"dap_tasks {10 + self.more.get('tasks', 0)}\n"

    def store(self):
        return {"fds": 10 + self.more.get("fds", 0), "KiB": 80_000 + self.more.get("KiB", 0)}


@pytest.mark.parametrize("more", [{"fds": 9}, {"tasks": 9}, {"KiB": 25_000}])
async def test_a_gateway_that_keeps_more_than_it_began_with(monkeypatch, more):
    monkeypatch.setattr(back, "_SETTLE", 0.0)
    before = await back.stock(Place(Grown(), None))
    good, bad = Played("afterwards", "relay", "s"), Played("afterwards", "relay", "s")
    await back.check_back(Place(Grown(tasks=1), None), before, good)
    await back.check_back(Place(Grown(**more), None), before, bad)

    assert good.complaints == []
    assert len(bad.complaints) == 1
