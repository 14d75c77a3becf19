"""The keys, certificates and revocation lists that all rows share: made once a run by ssh-keygen."""

import subprocess
from pathlib import Path

ED25519 = "ed25519"
MADE = {
    "good": (ED25519,),
    "rsa": ("rsa", "-b", "2048"),
    "rsa1024": ("rsa", "-b", "1024"),
    "ecdsa": ("ecdsa", "-b", "256"),
    "ecdsa521": ("ecdsa", "-b", "521"),
    "locked": (ED25519, "-N", "secret"),
    "pem": ("rsa", "-m", "PEM"),
    "forced": (ED25519,),  # its command is replaced
    "nopty": (ED25519,),
    "restrict": (ED25519,),
    "certified": (ED25519,),  # only its certificate is accepted
    "jump": (ED25519,),  # the key of both jump hosts
    "jumptwo": (ED25519,),
    **{f"wrong{number}": (ED25519,) for number in range(1, 8)},
    # of hosts
    "host": (ED25519,),
    "hostrsa": ("rsa",),
    "hostecdsa": ("ecdsa",),
    "hostjump": (ED25519,),
    "hosttwo": (ED25519,),
    "other": (ED25519,),  # no host's
    "ca": (ED25519,),
    "otherca": (ED25519,),
}
ACCEPTED = ("good", "rsa", "rsa1024", "ecdsa", "ecdsa521", "locked", "pem")


class Keys:
    """Files in one directory. Raises CalledProcessError where ssh-keygen cannot make them."""

    def __init__(self, directory: Path, user: str) -> None:
        self.directory = directory
        for name, (kind, *more) in MADE.items():
            passphrase = () if "-N" in more else ("-N", "")
            self._keygen("-t", kind, *more, *passphrase, "-C", name, "-f", name)
        self._certify("host", "mgmt,127.0.0.1,localhost", "-h")
        self._copy_certificate("host", "hostcert")
        self._certify("host", "elsewhere", "-h")
        self._copy_certificate("host", "hostcertother")
        self._certify("certified", user)
        self._keygen("-k", "-f", "krl", "host.pub")
        self._keygen("-k", "-f", "krlother", "other.pub")

    def public(self, name: str) -> str:
        """The type and base64 of a public key, as a line of known_hosts ends."""
        return " ".join((self.directory / f"{name}.pub").read_text().split()[:2])

    def authorized(self, *names: str) -> str:
        """A file of authorized keys."""
        return "".join(f"{self.public(name)}\n" for name in names)

    def _certify(self, name: str, principals: str, *more: str) -> None:
        self._keygen("-q", "-s", "ca", *more, "-I", name, "-n", principals, f"{name}.pub")

    def _copy_certificate(self, name: str, to: str) -> None:
        (self.directory / f"{name}-cert.pub").rename(self.directory / f"{to}.pub")

    def _keygen(self, *arguments: str) -> None:
        subprocess.run(
            ["ssh-keygen", *arguments], cwd=self.directory, check=True, capture_output=True, timeout=60
        )
