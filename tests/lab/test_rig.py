"""The fault rig's short form: two hops, live sessions of every client; hack/faults plays all."""

import asyncio
import os
from pathlib import Path

import pytest
from support.lab import LAB
from support.repeated import again

pytestmark = [pytest.mark.lab, pytest.mark.alone, pytest.mark.timeout(120)]

_RIG = Path(__file__).parents[2] / "hack" / "faults"


@pytest.mark.usefixtures("lab")
@pytest.mark.parametrize(("fault", "chain"), [("ssh-drop", "relay"), again("kubectl-kill", "plain")])
async def test_a_row_keeps_its_promise(fault, chain):
    if not os.environ.get("DAP_LAB"):
        pytest.skip("no real chain: DAP_LAB is not set")
    process = await asyncio.create_subprocess_exec(
        *(str(_RIG), "--fault", fault, "--chain", chain),
        env=os.environ | {"DAP_FAULT_CMD": f"{LAB} fault"},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        out, err = await asyncio.wait_for(process.communicate(), 100)
    finally:
        if process.returncode is None:
            process.terminate()
            await process.wait()

    assert process.returncode == 0, err.decode()
    assert f"| {fault} | {chain} | 1 |" in out.decode()
