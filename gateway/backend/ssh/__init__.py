"""SSH: the only place that imports asyncssh, but for the demo's server. Its errors stop here."""

from gateway.backend.ssh.client import Ask as Prompt
from gateway.backend.ssh.client import Waiting
from gateway.backend.ssh.connection import Connection, connect
from gateway.backend.ssh.passphrase import Passphrase
from gateway.backend.ssh.process import Process

__all__ = ["Connection", "Passphrase", "Process", "Prompt", "Waiting", "connect"]
