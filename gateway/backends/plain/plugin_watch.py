"""Ends a kubectl that waits for its credential plugin for too long, or until somebody interrupts it at its terminal.

Nothing on the plain chain sees who writes: so a session that has been silent since its start, for as long as a start may
take, has its processes in the runner looked at once.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import structlog

from gateway.backends.kube.raw import Run, output_of
from gateway.backends.plain.channel import PlainChannel
from gateway.errors import HopFailed
from gateway.timeouts import wait_within

log = structlog.get_logger()

_SECONDS = 10.0  # for one look
_SIZE = 100  # bytes of its answer
# Finds a plugin (relay/kubectl_start.py) below process $1; with $2 ends it, and first the kubectl that would run it again
_LOOK = """
look() {
  for c in $(cat /proc/$1/task/*/children); do
    if tr '\\0' '\\n' </proc/$c/environ | grep -q ^KUBERNETES_EXEC_INFO=; then
      echo waits; [ "$2" ] && kill "$1" && kill -KILL "$c"
    else look "$c" "$2"
    fi
  done
}
exec 2>/dev/null; look "$1" "$2"; exit 0
"""


@asynccontextmanager
async def plugin_watch(
    tasks: asyncio.TaskGroup, channel: PlainChannel, run: Run, seconds: float
) -> AsyncIterator[None]:
    """Watches a channel that has been started; does nothing where it leads to no pod. `run` runs an argv in the runner; `seconds`: how long a
    plugin may take.
    """
    task = tasks.create_task(_watch(channel, run, seconds))
    try:
        yield
    finally:
        task.cancel()
        await wait_within(asyncio.wait([task]), _SECONDS)


async def _watch(channel: PlainChannel, run: Run, seconds: float) -> None:
    clock = asyncio.get_running_loop().time
    until = clock() + seconds
    while channel.kubectl and channel.silent:
        why = "interrupted"
        try:
            async with asyncio.timeout_at(until):
                await channel.interrupted.wait()
        except TimeoutError:
            why = f"the credential plugin gave none within {seconds:g} s"
        channel.interrupted.clear()
        if not channel.silent or await _refused(channel, run, why) or clock() >= until:
            return


async def _refused(channel: PlainChannel, run: Run, why: str) -> bool:
    """Ends kubectl, and returns True, if it waits for a plugin."""
    try:
        if channel.pid and await _look(run, channel.pid):
            channel.refuse(why)  # before the look that ends it: the end may come before the answer
            if await _look(run, channel.pid, "end"):
                return True
    except (HopFailed, TimeoutError):
        pass  # the session goes on as it is
    except Exception:
        log.exception("plugin_watch_defect")  # ends no session, neither this one nor others
    channel.refuse("")  # the plugin has gone by itself
    return False


async def _look(run: Run, pid: int, *end: str) -> bool:
    """Returns True if kubectl below the process waits for a plugin, which `end` ends."""
    return b"waits" in await output_of(run, ("sh", "-c", _LOOK, "dap", str(pid), *end), _SIZE, _SECONDS)
