"""Asks a cluster's API through the gateway: objects, lists, watches and whatever else it answers with a stream."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any
from urllib.parse import quote

from gateway.backends.contract import Event
from gateway.backends.kube import answers
from gateway.client import http
from gateway.client.endpoint import Endpoint
from gateway.client.exit_status import GatewayFailed
from gateway.client.stream import Answer, requested
from gateway.errors import DapError
from gateway.protocol.outcome import Hop

_SIZE = 64 << 20  # bytes of an object or a list
_REFUSAL = 64 << 10  # bytes
_ANSWER = 30.0  # seconds for the head of an answer
_BUSY = (408, 410, 429)  # refusals that pass
_NOT_PASSING = (Hop.CLIENT, Hop.POD)
_UNAUTHORIZED = 401
_OF_THE_GATEWAY = (404, 405)  # which the API server says of an object alone, with its name
_LASTING = (
    "pod_not_found",
    "forbidden",
    "bad_request",
    "not_allowed",
    "cluster_unknown",
    "container_not_found",
)


class Cluster:
    """Names a cluster of the gateway at `endpoint`."""

    def __init__(self, endpoint: Endpoint, name: str) -> None:
        self.endpoint = endpoint
        self.name = name
        self._prefix = f"/clusters/{quote(name, safe='')}"

    async def default_namespace(self) -> str:
        """Returns the namespace of a pod that is named without one. Raises GatewayFailed, HopFailed."""
        path = f"/gateway/v1{self._prefix}/namespace"
        async with requested(self.endpoint, "GET", path, seconds=_ANSWER) as answer:
            body = await _checked(answer)
        try:
            return str(json.loads(body)["namespace"])
        except (KeyError, TypeError, ValueError, RecursionError):
            raise http.unreadable(path) from None

    async def get(self, path: str) -> dict[str, Any]:
        """Returns the object or list at `path`. Raises GatewayFailed, HopFailed."""
        async with self.stream(path, seconds=_ANSWER) as answer:
            return answers.decode(answer.status, await answer.read(_SIZE))

    @asynccontextmanager
    async def stream(self, path: str, *, seconds: float | None = None) -> AsyncIterator[Answer]:
        """Enters with a good answer to a GET of `path`. `seconds`: for its head to come. Raises GatewayFailed, HopFailed."""
        headers = [("Accept", "application/json, */*"), ("Accept-Encoding", "identity")]
        async with requested(self.endpoint, "GET", self._prefix + path, headers, seconds=seconds) as answer:
            if answer.status >= 300:
                raise refusal(answer.status, await answer.read(_REFUSAL))
            yield answer

    async def watch(self, path: str, version: str, seconds: int) -> AsyncIterator[Event]:
        """Yields what happens to the list at `path` after its `version`, for so many seconds. Raises GatewayFailed, HopFailed."""
        query = {"watch": "true", "resourceVersion": version, "timeoutSeconds": str(seconds)}
        async with self.stream(answers.with_query(path, query), seconds=None) as answer:
            with suppress(TimeoutError):  # nobody has ended it in time, or we were stopped meanwhile
                async with asyncio.timeout(seconds + _ANSWER):
                    async for event in answers.events(answer.body, _SIZE):
                        yield event


async def _checked(answer: Answer) -> bytes:
    body = await answer.read(_SIZE)
    if answer.status >= 300:
        raise refusal(answer.status, body)
    return body


def refusal(code: int, body: bytes) -> DapError:
    """Returns the error for an answer that is none: by its hop where the gateway names one, else the cluster's own."""
    failed = answers.refusal(code, body)
    if ours := http.named(failed.message):
        return ours
    named = failed.status and (failed.status.details or code not in _OF_THE_GATEWAY)
    return failed if named and code != _UNAUTHORIZED else http.refusal(code, body)


def passes(error: DapError) -> bool:
    """Returns True if what failed may work in a moment: a hop that is gone comes back, a pod that there is not does not."""
    if isinstance(error, GatewayFailed):
        return error.passing
    if error.code == "slow_client":
        return True  # what was held up may go on from where it was
    if error.code in _LASTING or error.hop in _NOT_PASSING:
        return False
    return error.status is None or error.status.code >= 500 or error.status.code in _BUSY
