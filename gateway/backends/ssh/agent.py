"""An SSH agent: its keys and its signatures, over one connection (OpenSSH's PROTOCOL.agent, through asyncssh)."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

import asyncssh

from gateway.backends.ssh.key_files import KeyUnusable, PublicKey, from_wire
from gateway.log import printable

_FLAGS = {
    "rsa-sha2-256": 2,
    "rsa-sha2-512": 4,
}  # SSH_AGENT_RSA_SHA2_*: without a flag an agent signs with SHA-1


@dataclass
class Agent:
    """An SSH agent, or the absence of an agent (`client` None). `keys`: comment and key, in the agent's order.
    `remark`: why the agent has no keys.
    """

    client: asyncssh.SSHAgentClient | None = None
    keys: tuple[tuple[str, PublicKey], ...] = ()
    remark: str = ""

    async def sign(self, key: PublicKey, algorithm: str, data: bytes, seconds: float) -> bytes:
        """Returns the agent's signature of `data` with one of its keys. The agent may ask a person, within `seconds`.
        Raises KeyUnusable where the agent or that person refuses, or does not answer in time, or the agent is gone.
        After a time-out or a cancellation this connection to the agent signs no more.
        """
        client, self.client = (
            self.client,
            None,
        )  # a late answer would be taken for the next request's
        if client is None:
            raise KeyUnusable("the SSH agent has not answered before")
        try:
            async with asyncio.timeout(seconds):
                signature = await client.sign(key.blob, data, _FLAGS.get(algorithm, 0))
        except TimeoutError:
            raise KeyUnusable(f"the SSH agent did not sign within {seconds:g} s") from None
        except ValueError as error:
            self.client = client
            raise KeyUnusable(f"the SSH agent refused to sign: {error}") from None
        self.client = client
        return signature


@asynccontextmanager
async def connected(path: str, seconds: float) -> AsyncIterator[Agent]:
    """Connects the agent that listens at `path` for as long as the block runs. Yields an agent without keys where
    `path` is empty, or where the agent cannot be reached, does not answer within `seconds` or lists no keys.
    """
    if not path:
        yield Agent()
        return
    client = asyncssh.SSHAgentClient(path)
    try:
        yield await _listed(client, path, seconds)
    finally:
        client.close()
        with suppress(OSError, TimeoutError):
            async with asyncio.timeout(seconds):
                await client.wait_closed()


async def _listed(client: asyncssh.SSHAgentClient, path: str, seconds: float) -> Agent:
    try:
        async with asyncio.timeout(seconds):
            await client.connect()
            pairs = await client.get_keys()
    except TimeoutError:
        return Agent(remark=f"the SSH agent at {path} did not answer within {seconds:g} s")
    except OSError as error:
        return Agent(remark=f"the SSH agent at {path} cannot be reached: {error.strerror or error}")
    except ValueError as error:
        return Agent(remark=f"the SSH agent at {path} lists no keys: {error}")
    keys = ((_comment(pair), from_wire(pair.algorithm, pair.public_data)) for pair in pairs)
    return Agent(client, tuple((comment, key) for comment, key in keys if key))


def _comment(pair: asyncssh.SSHKeyPair) -> str:
    return printable(pair.get_comment(errors="replace") or "without a name")
