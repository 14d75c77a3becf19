"""Does `dap cp`: files and directories between this machine and a container."""

import json
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from gateway.cli import signals
from gateway.cli.connect import gateway
from gateway.cli.console import say
from gateway.cli.copy_progress import CopyProgress, amount
from gateway.client.copy.download import download
from gateway.client.copy.upload import upload
from gateway.client.copy.work import Work
from gateway.client.exit_status import End
from gateway.client.outage import Outage
from gateway.client.process import Pod
from gateway.copying.container import Container
from gateway.copying.entries import CopyResult
from gateway.errors import DapError
from gateway.protocol.errors import BadRequest
from gateway.protocol.target import Target
from gateway.settings.loader import load

_INCOMPLETE = 1
_SHOWN = 10  # names that were skipped


@dataclass(frozen=True)
class Options:
    """Holds what the command line says besides the two places. `patience`: seconds in which a lost hop may come back."""

    namespace: str | None
    container: str | None
    cluster: str
    patience: float
    json: bool
    quiet: bool


@dataclass(frozen=True)
class Place:
    """Names a file or directory: in a pod, or, where there is no `target`, on this machine."""

    target: Target | None
    path: str

    @classmethod
    def parse(cls, word: str, options: Options) -> "Place":
        """Returns the place that a word of the command line names. Raises BadRequest."""
        pod, colon, path = word.partition(":")
        if not colon or word[:1] in ("/", ".", "~") or not pod:
            return cls(None, word)
        if not path:
            raise BadRequest(
                f"name a path behind the colon, as in {pod}:/tmp; a file of that name here is ./{word}"
            )
        return cls(
            Target.parse(options.cluster, options.namespace or None, pod, options.container or None), path
        )


def run(source: str, destination: str, options: Options) -> int:
    """Copies, and returns the exit status: 1 where not all was copied. Raises BadRequest, DapError, ConfigError."""
    places = Place.parse(source, options), Place.parse(destination, options)
    if (places[0].target is None) == (places[1].target is None):
        raise BadRequest(
            "one of the two is in a pod, and the other on this machine: dap cp web-0:/var/log ./log"
        )
    if not source or not destination:
        raise BadRequest("a path cannot be empty")
    return signals.run(_copy(*places, options))


async def _copy(source: Place, destination: Place, options: Options) -> int:
    began, bar = time.monotonic(), CopyProgress(quiet=options.quiet or options.json)

    def tell(event: str, why: str) -> None:
        bar.clear()
        if not options.quiet:
            say("goes on" if event == "back" else f"{why}: goes on when that is over")

    remote = source.target or destination.target
    assert remote is not None
    failed: End | None = None
    async with gateway(load(), quiet=options.quiet) as endpoint:
        container = Container(Pod(endpoint, remote).start, remote.pod)
        work = Work(container, Outage(options.patience, tell), bar)
        try:
            if source.target:
                await download(work, source.path, Path(destination.path))
            else:
                await upload(work, Path(source.path), destination.path)
        except DapError as error:
            failed = End(error.code, error.hop, error.message)
        finally:
            bar.clear()
    return _tell(work.result, failed, time.monotonic() - began, options)


def _tell(result: CopyResult, failed: End | None, seconds: float, options: Options) -> int:
    """Says what came of the copy, and returns the exit status."""
    status = _INCOMPLETE if result.skipped else 0
    if failed:
        status = _INCOMPLETE if failed.code == "copy_failed" else failed.exit_status
    if options.json:
        row = {
            "files": result.files, "bytes": result.bytes, "seconds": round(seconds, 3), "unverified": result.unverified,
            "sha256": result.sha256 or None, "skipped": result.skipped, "grown": sorted(result.grown), "exitStatus": status,
        }  # fmt: skip
        print(
            json.dumps(
                row | ({"code": failed.code, "hop": failed.hop, "message": failed.message} if failed else {})
            )
        )
        return status
    _say_some([f"not copied: {name}: {why}" for name, why in result.skipped.items()], "not copied")
    if failed:
        say(failed.message if failed.code == "copy_failed" else str(failed))
    elif not options.quiet:
        kept = "grew while it was copied: the copy has what was there at first"
        _say_some([f"{name} {kept}" for name in sorted(result.grown)], "grew meanwhile")
        if result.unverified:
            say(
                f"{result.unverified} of {result.files} files have the right length; their SHA-256 the container cannot tell"
            )
        if sys.stderr.isatty():
            many = "1 file" if result.files == 1 else f"{result.files} files"
            say(f"{many}, {amount(result.bytes)}, {amount(result.bytes / max(seconds, 0.001))}/s")
    return status


def _say_some(lines: list[str], what: str) -> None:
    """Says the first of the lines, and how many more names there are of which the same is true."""
    for line in lines[:_SHOWN]:
        say(line)
    if len(lines) > _SHOWN:
        say(f"{len(lines) - _SHOWN} more {what}; --json names all")
