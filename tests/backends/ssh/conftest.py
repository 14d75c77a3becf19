"""Fixtures: keys, and an agent."""

import shutil
import subprocess

import pytest
from support import openssh
from support.ssh_login import ssh_agent


@pytest.fixture
def agent(tmp_path):
    with ssh_agent(tmp_path) as running:
        yield running


@pytest.fixture(scope="session")
def made(tmp_path_factory):
    """Keys a to h of OpenSSH's making; `rsa`, which is `pem` too, without a public key; `authority`, which has certified h in h-cert.pub. Tests copy them."""
    folder = tmp_path_factory.mktemp("keys")
    for name in (*"abcdefgh", "authority"):
        openssh.key(folder / name, comment=name)
    openssh.rsa_key(folder / "rsa")
    shutil.copy(folder / "rsa", folder / "pem")
    subprocess.run(
        ["ssh-keygen", "-q", "-p", "-N", "", "-m", "PKCS8", "-f", folder / "pem"],
        check=True,
        stdout=subprocess.DEVNULL,
    )
    openssh.certificate(folder / "h", folder / "authority", "-n", "me,root,nobody")
    return folder


@pytest.fixture
def keys(made, tmp_path):
    """A folder with copies of them, without the certificate."""
    folder = tmp_path / "keys"
    shutil.copytree(made, folder)
    (folder / "h-cert.pub").unlink()
    return folder
