"""Checks every hop through a relay: a PING on the link for SSH, Incus and the runner, kubectl for the cluster."""

import asyncio
import time
from collections.abc import Awaitable, Callable

from gateway.backends.contract import HopCheck, blame
from gateway.backends.kube.raw import RawApi
from gateway.backends.relay.link import Link
from gateway.errors import HopFailed
from gateway.protocol.outcome import Hop


async def check(
    link: Callable[[], Awaitable[Link]],
    note: Callable[[], Awaitable[str]],
    kubectl: RawApi,
    seconds: float,
    trouble: Callable[[], HopFailed | None],
) -> list[HopCheck]:
    """See `Backend.check`. Asks the cluster through `kubectl`, which starts a new process and so reads the kubeconfig
    as it is now; the running proxy may have read an older one. `note` returns the remark for the runner's row;
    `trouble` returns why there is no SSH connection, if so; all of it takes at most `seconds`.
    """
    passed: list[HopCheck] = []
    try:
        async with asyncio.timeout(seconds):
            ms = round(await (await link()).ping() * 1000, 1)
            passed += [HopCheck(Hop.SSH, ms), HopCheck(Hop.INCUS, ms)]
            passed.append(HopCheck(Hop.RUNNER, ms, note=await note()))
            began = time.perf_counter()
            await kubectl.get("/version", seconds=seconds)
            passed.append(HopCheck(Hop.CLUSTER, round((time.perf_counter() - began) * 1000, 1)))
    except TimeoutError:
        hop = {0: Hop.INCUS, 2: Hop.RUNNER}.get(len(passed), Hop.CLUSTER)
        code = "cluster_unreachable" if hop is Hop.CLUSTER else "runner_timeout"
        error = HopFailed(code, f"no answer within {seconds:g} s")
        if not passed and (why := trouble()):
            hop, error = Hop.SSH, why
        passed.append(HopCheck(hop, None, error.outcome()))
    except HopFailed as error:
        blame(passed, error.outcome())
    return passed
