"""SSH: the only place that imports asyncssh, but for the demo's server. Its errors stop here."""

from gateway.backend.ssh.connection import Connection, connect
from gateway.backend.ssh.options import Prompt
from gateway.backend.ssh.process import Process

__all__ = ["Connection", "Process", "Prompt", "connect"]
