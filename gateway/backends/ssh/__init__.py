"""SSH: of the gateway only this package and the demo's server import asyncssh. asyncssh's errors become HopFailed
here.
"""

from gateway.backends.ssh.client import Ask as Prompt
from gateway.backends.ssh.client import Waiting
from gateway.backends.ssh.connection import Connection, connect
from gateway.backends.ssh.passphrase import Passphrase
from gateway.backends.ssh.process import Process

__all__ = ["Connection", "Passphrase", "Process", "Prompt", "Waiting", "connect"]
