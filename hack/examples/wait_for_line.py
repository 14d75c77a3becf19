"""Follows the logs of a workload until one of its pods writes a text, or the time is over:

python hack/examples/wait_for_line.py deploy/api "listening on" 60
"""

import asyncio
import sys
from contextlib import aclosing

from gateway.client import connect


async def main() -> int:
    workload, text, seconds = sys.argv[1:]
    async with connect() as gateway:
        try:
            async with (
                asyncio.timeout(float(seconds)),
                aclosing(gateway.pod(workload).logs(follow=True)) as lines,
            ):
                async for line in lines:
                    if text.encode() in line.data:
                        print(f"{line.pod}: {line.data.decode('utf-8', 'replace')}", end="")
                        return 0
        except TimeoutError:
            print(f"no pod of {workload} has written {text!r} within {seconds} s", file=sys.stderr)
    return 1


sys.exit(asyncio.run(main()))
