"""Computes how a TCP listener proves that it is the gateway of a token, before a client sends the token there."""

import hashlib
import hmac
import re

PATH = "/gateway/v1/proof"
NONCE = re.compile(r"[0-9a-f]{32}")  # of the client: 16 random bytes


def listener_proof(token: bytes, nonce: str, port: int) -> str:
    """Returns the proof of a listener on `port`. `token`: the SHA-256 of the gateway's own token. The port is part of
    the proof: whoever owns another port cannot pass on what the gateway has answered.
    """
    return hmac.new(token, f"dap listener {nonce} {port}".encode(), hashlib.sha256).hexdigest()
