"""Who we are to a host: the keys that OpenSSH's client would offer with the same settings, in its order.

    async with identities(settings, passphrase, waiting=told) as keys:
        class Client(asyncssh.SSHClient):
            async def public_key_auth_requested(self): return await keys.next()
        await asyncssh.connect(..., client_factory=Client, client_keys=None, agent_path=None)

The rules are those of pubkey_prepare, sign_and_send_pubkey and load_identity_file in OpenSSH's sshconnect2.c and of
load_public_identity_files in its ssh.c.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial

import asyncssh

from gateway.backends.ssh import agent as agents
from gateway.backends.ssh.agent import Agent
from gateway.backends.ssh.candidates import Candidate, candidates, unfit
from gateway.backends.ssh.key_files import KeyUnusable, PublicKey, problem
from gateway.backends.ssh.offered_key import OfferedKey, signatures
from gateway.backends.ssh.passphrase import Passphrase, Waiting, not_told
from gateway.backends.ssh.settings import SshSettings
from gateway.errors import HopFailed


@dataclass(frozen=True)
class IdentityLimits:
    """Time limits in seconds. `agent`: for an agent to list its keys; `signature`: for an agent to sign, which may
    ask a person.
    """

    agent: float = 5.0
    signature: float = 120.0


_PATIENCE = IdentityLimits()


@asynccontextmanager
async def identities(
    settings: SshSettings,
    passphrase: Passphrase,
    *,
    required: bool = False,
    waiting: Waiting = not_told,
    patience: IdentityLimits = _PATIENCE,
) -> AsyncIterator["Identities"]:
    """Yields the keys to offer to one host in one login, and keeps the agent connected while the block runs. A person
    is asked for a passphrase only after the host has taken the key, or where the file shows no public key.

    `required`: the settings name the one file that has to work. Then a file that is missing, that cannot be read,
    that others can read or that is no key raises HopFailed(ssh_config) here, and a passphrase that nobody gives or
    that is wrong raises it out of `next` or of asyncssh.connect. Otherwise such a key is left out, as ssh does, with
    a remark. `waiting` is entered with "the SSH agent" around each signature of the agent, which may ask a person,
    and with "a passphrase" around the question for one.
    """
    async with agents.connected(settings.agent, patience.agent) as agent:
        keys, left_out = await asyncio.to_thread(candidates, settings, agent.keys)
        made = Identities(settings, passphrase, required, waiting, patience, agent, keys)
        made.remarks += [agent.remark] * bool(agent.remark)
        made.remarks += [_left_out(name, reason) for name, reason in left_out]
        if required:
            await made.check(dict(left_out))
        yield made


@dataclass
class Identities:
    """The keys of one login. `remarks`: what was left out and why, for the message of a refused login."""

    settings: SshSettings
    passphrase: Passphrase
    required: bool
    waiting: Waiting
    patience: IdentityLimits
    agent: Agent
    keys: Sequence[Candidate]
    remarks: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._left = iter(self.keys)
        self._refused: set[bytes] = set()

    async def next(self) -> asyncssh.SSHKeyPair | None:
        """Returns the next key to offer; None after the last. A key that the host has refused is not offered again.
        Raises HopFailed(ssh_config) for a key that is `required` and cannot be used.
        """
        for candidate in self._left:
            key = candidate.public or await self._shown(candidate)
            if key and key.blob not in self._refused:
                self._refused.add(key.blob)
                if key.invalid:
                    self.remarks.append(f"{candidate.name}: {key.invalid}")
                names = signatures(key, self.settings.public_key_algorithms)
                return OfferedKey(key, names, partial(self._sign, candidate, key))
        return None

    async def check(self, left_out: Mapping[str, str]) -> None:
        """Raises HopFailed(ssh_config) if an identity file is left out, or is neither in the agent nor a private key
        that can be opened, with a passphrase or without.
        """
        held = {key.file for key in self.keys if key.in_agent}
        for file in self.settings.identity_files:
            if file not in held and (
                reason := left_out.get(str(file)) or await asyncio.to_thread(problem, file)
            ):
                self._unusable(str(file), reason)

    def _unusable(self, name: str, reason: object) -> None:
        if self.required:
            raise HopFailed(
                "ssh_config", f"the SSH key {name} cannot be used: {reason} (DAP_RUNNER_SSH_KEY names it)"
            )
        self.remarks.append(_left_out(name, reason))

    async def _shown(self, candidate: Candidate) -> PublicKey | None:
        """Opens a private key file and returns its public key; None, with a remark, where the key cannot be used.
        Raises HopFailed where it is `required`.
        """
        try:
            private = await self._private(candidate, None)
        except KeyUnusable as error:
            self._unusable(candidate.name, error)
            return None
        key = PublicKey(private.get_algorithm(), private.public_data, private)
        if reason := unfit(key, self.settings):
            self._unusable(candidate.name, reason)
            return None
        return key

    async def _sign(self, candidate: Candidate, key: PublicKey, algorithm: str, data: bytes) -> bytes:
        """Signs `data` with a key that the host has taken. Raises KeyUnusable, after which asyncssh asks for the next
        key, or HopFailed for a `required` key.
        """
        self._refused.discard(key.blob)
        signer = self._signer(candidate, key)
        if signer.in_agent and signer.public:
            try:
                with self.waiting("the SSH agent"):
                    return await self.agent.sign(signer.public, algorithm, data, self.patience.signature)
            except KeyUnusable as error:
                self.remarks.append(_left_out(signer.name, error))
                raise
        try:
            private = await self._private(signer, key)
        except KeyUnusable as error:
            self._unusable(signer.name, error)
            raise
        return await asyncio.to_thread(private.sign, data, algorithm.encode())

    def _signer(self, candidate: Candidate, key: PublicKey) -> Candidate:
        """Returns the candidate that signs for a key: for a certificate the key that it certifies, in the agent or in
        a file.
        """
        if not key.certificate:
            return candidate
        plain = (one for one in self.keys if one.public and one.public.blob == key.key.public_data)
        beside = (one for one in self.keys if not one.public and str(candidate.file) in _names(one))
        return next(plain, None) or (candidate if candidate.in_agent else next(beside, candidate))

    async def _private(self, candidate: Candidate, key: PublicKey | None) -> asyncssh.SSHKey:
        if candidate.file is None or (key and key.hardware):
            raise KeyUnusable("it needs its hardware: give it to an SSH agent with ssh-add")
        private = await self.passphrase.unlock(candidate.file, self.waiting)
        if key and private.public_data != key.key.public_data:
            raise KeyUnusable("it is another key than its public key beside it")
        return private


def _left_out(name: str, reason: object) -> str:
    return f"the key {name} was left out: {reason}"


def _names(candidate: Candidate) -> set[str]:
    return {f"{candidate.file}{suffix}" for suffix in ("", ".pub", "-cert.pub")}
