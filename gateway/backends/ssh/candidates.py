"""The keys that may be offered to a host, in the order in which OpenSSH's client offers them (sshconnect2.c,
pubkey_prepare).
"""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from gateway.backends.ssh.key_files import PublicKey, read_certificate, read_public
from gateway.backends.ssh.offered_key import signatures
from gateway.backends.ssh.settings import SshSettings


@dataclass(frozen=True)
class Candidate:
    """A key or certificate to offer. `public` is None where only the opened private key shows it; `file` is where the
    private key is; with `in_agent` the agent signs.
    """

    name: str  # for messages
    public: PublicKey | None
    file: Path | None = None
    in_agent: bool = False


def candidates(
    settings: SshSettings, agent_keys: Sequence[tuple[str, PublicKey]]
) -> tuple[list[Candidate], list[tuple[str, str]]]:
    """Returns the keys to offer, in order, and the names of the keys that are left out, each with the reason. Reads
    files: call it in a thread.
    """
    found = _in_order(settings, [*_certificates(settings)], [*_files(settings)], agent_keys)
    reasons = [(one, unfit(one.public, settings) if one.public else _absent(one)) for one in found]
    kept = [one for one, reason in reasons if not reason]
    known = set(settings.identity_files) if settings.identities_named else set()
    left_out = [(one.name, reason) for one, reason in reasons if reason and (one.public or one.file in known)]
    missing = [
        (str(file), "there is no certificate in it")
        for file in settings.certificate_files
        if not read_certificate(file)
    ]
    return kept, left_out + missing


def unfit(key: PublicKey, settings: SshSettings) -> str:
    """Returns why the settings forbid offering a key; empty where they allow the key."""
    if not signatures(key, settings.public_key_algorithms):
        return f"{key.algorithm} is not among PubkeyAcceptedAlgorithms"
    if 0 < key.rsa_bits < settings.required_rsa_bits:
        return f"it has {key.rsa_bits} bits and RequiredRSASize is {settings.required_rsa_bits}"
    return ""


def _absent(candidate: Candidate) -> str:
    return "" if candidate.file and os.access(candidate.file, os.F_OK) else "there is no such file"


def _certificates(settings: SshSettings) -> Iterator[Candidate]:
    for file in settings.certificate_files:
        if certificate := read_certificate(file):
            yield Candidate(str(file), certificate, file)


def _files(settings: SshSettings) -> Iterator[Candidate]:
    """Yields a candidate for each identity file and, where the settings name no certificates, the certificate beside
    it.
    """
    for file in dict.fromkeys(settings.identity_files):
        yield Candidate(str(file), read_public(file), file)
        beside = Path(f"{file}-cert")  # or with .pub behind it
        if not settings.certificate_files and (certificate := read_certificate(beside)):
            yield Candidate(f"{beside}.pub", certificate, file)


def _in_order(
    settings: SshSettings,
    certificates: list[Candidate],
    files: list[Candidate],
    agent_keys: Sequence[tuple[str, PublicKey]],
) -> list[Candidate]:
    """Returns the candidates in ssh's order: certificates that the settings name; the agent's keys that a file names,
    in the agent's order; the agent's other keys, unless IdentitiesOnly; the other files.
    """
    named, others = [], []
    for comment, key in agent_keys:
        match = next((one for one in files if one.public and one.public.blob == key.blob), None)
        if match:
            files.remove(match)
            named.append(replace(match, in_agent=True))
        elif not settings.identities_only:
            others.append(Candidate(comment, key, in_agent=True))
    return certificates + named + others + files
