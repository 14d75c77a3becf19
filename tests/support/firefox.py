"""The main path of the page in Firefox, which web/test/main_path.mjs goes."""

import asyncio
import os
import shutil
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "web" / "test" / "main_path.mjs"
INSTALLED = ROOT / "web" / "node_modules" / "puppeteer-core"
NAMES = ("firefox-esr", "firefox")


def firefox() -> str:
    """Returns the path of this machine's Firefox, `DAP_FIREFOX` first; without one the test is skipped."""
    path = os.environ.get("DAP_FIREFOX") or next(filter(None, map(shutil.which, NAMES)), None)
    if path is None:
        pytest.skip("no Firefox: apt-get install firefox-esr, or set DAP_FIREFOX")
    if not INSTALLED.exists():
        pytest.skip("no puppeteer-core: hack/node npm --prefix web ci")
    return path


async def main_path(link: str, pod: str, keys: str, home: Path) -> None:
    """Signs in with a link, finds with `keys` the pod `default/POD`, which has bash, and works there. Fails with what the
    script says of the step that failed.
    """
    process = await asyncio.create_subprocess_exec(
        ROOT / "hack" / "node", "node", SCRIPT, firefox(), link, keys, f"#/default/default/{pod}",
        env=os.environ | {"HOME": str(home)}, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    try:
        said, _ = await process.communicate()
        assert process.returncode == 0, said.decode()
    finally:
        if process.returncode is None:
            process.terminate()  # and Firefox with it
            await process.wait()
