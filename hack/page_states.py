"""Draws every state of the page's list, of its shells and of what stands beside them, at three sizes, dark and light, and holds
each picture against axe.

    python hack/page_states.py DIRECTORY [--once] [--pods N] [STATE…]

`--once`: each state in one size and scheme alone, the next state in the next ones. Needs a built page, Chromium and the packages of
the tests. Exit code 1 where axe finds something, or a state is not reached.
"""

import argparse
import asyncio
import itertools
import logging
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import NamedTuple

import structlog
from playwright.async_api import Browser, Page, async_playwright

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT)]
import list_states  # noqa: E402
import shell_states  # noqa: E402
from support.browser import ARGUMENTS, chromium  # noqa: E402

SIZES = ((1440, 900), (1024, 640), (390, 844))
PHONE = 600  # a window less wide is touched
AT_ONCE = 4  # pages: each mostly waits for the others' processes
AXE = ROOT / "web" / "node_modules" / "axe-core" / "axe.min.js"
FOUND = "() => axe.run().then(({violations}) => violations.map(({id, nodes}) => `${id}: ${nodes[0].html}`))"
# What follows a new size or scheme is drawn in the next frames: the terminal fits, then draws, then the list does
SETTLED = """() => new Promise(resolve => {
    let left = 8;
    const next = () => left-- ? requestAnimationFrame(next) : resolve();
    next();
})"""


class Look(NamedTuple):
    """How a state is looked at."""

    width: int
    height: int
    scheme: str

    @property
    def touched(self) -> bool:
        return self.width < PHONE

    @property
    def name(self) -> str:
        return f"{self.width}x{self.height}-{self.scheme}"


LOOKS = [Look(*size, scheme) for size, scheme in itertools.product(SIZES, ("dark", "light"))]


async def main(directory: Path, pods: int, looks: dict[str, list[Look]]) -> int:
    """Draws each state as its looks want it."""
    began, problems, few = time.monotonic(), list[str](), asyncio.Semaphore(AT_ONCE)
    async with async_playwright() as playwright, list_states.gateway(pods) as lists:
        browser = await playwright.chromium.launch(executable_path=chromium(), args=ARGUMENTS)

        async def draw(state: str, seen: Sequence[Look]) -> None:
            shown = shell_states.shown if state in shell_states.STATES else lists.shown
            async with few:
                problems.extend(await pictures(browser, state, shown, seen, directory))

        async with asyncio.TaskGroup() as group:
            for state, wanted in looks.items():
                for _, seen in itertools.groupby(wanted, lambda look: look.touched):
                    group.create_task(draw(state, list(seen)))
        await browser.close()
    for problem in sorted(problems):
        print(problem)
    drawn, took = sum(map(len, looks.values())), time.monotonic() - began
    print(f"{drawn} pictures in {directory} after {took:.0f} s, {len(problems)} problems")
    return 1 if problems else 0


async def pictures(
    browser: Browser,
    state: str,
    shown: Callable[[Page, str], AbstractAsyncContextManager[None]],
    looks: Sequence[Look],
    directory: Path,
) -> list[str]:
    """Takes the pictures of a state in one page, and returns what is wrong: a state that is not reached, rules of axe."""
    page = await browser.new_page(has_touch=looks[0].touched, reduced_motion="reduce", **seen_as(looks[0]))
    found = []
    try:
        async with shown(page, state):
            await page.evaluate(AXE.read_text())
            for look in looks:
                options = seen_as(look)
                await page.set_viewport_size(options["viewport"])
                await page.emulate_media(color_scheme=options["color_scheme"])
                await page.evaluate(SETTLED)
                await page.screenshot(path=directory / f"{state}-{look.name}.png")
                found += [f"{state} {look.name}: {rule}" for rule in await page.evaluate(FOUND)]
    except Exception as error:  # noqa: BLE001  # the other states are drawn all the same
        found.append(f"{state} {looks[0].name}: {''.join(traceback.format_exception(error))}")
    finally:
        await page.close()
    return found


def seen_as(look: Look) -> dict[str, object]:
    """Returns a look as the browser is told of it."""
    return {"viewport": {"width": look.width, "height": look.height}, "color_scheme": look.scheme}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="page_states.py", description="Draws every state of the page.")
    parser.add_argument("directory", type=Path, metavar="DIRECTORY")
    parser.add_argument("--once", action="store_true", help="each state in one size and scheme")
    parser.add_argument("--pods", type=int, default=2000, metavar="N")
    parser.add_argument("states", nargs="*", metavar="STATE")
    given = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    given.directory.mkdir(parents=True, exist_ok=True)
    names = given.states or [*list_states.LISTS, *list_states.SHELLS, *shell_states.STATES]
    turns = zip(names, itertools.cycle(LOOKS), strict=False)
    wanted = {name: [look] for name, look in turns} if given.once else dict.fromkeys(names, LOOKS)
    sys.exit(asyncio.run(main(given.directory, given.pods, wanted)))
