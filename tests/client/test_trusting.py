"""Which certificates are good is curl's and kubectl's choice, on every Python: 3.13 and later refuse more of them."""

import ssl

import pytest
from cryptography import x509
from support.tls_front import FOR_LOCALHOST, issued, new_key, server_tls, showing

from gateway.client.tls import trusting


def old():
    """(an authority as old programs make it, without key usage and key identifiers; a leaf of it; a server's context)"""
    name, key, leaf_key = "old authority", new_key(), new_key()
    ca = issued(name, key, name, key, x509.BasicConstraints(ca=True, path_length=None))
    leaf = issued("leaf", leaf_key, name, key, FOR_LOCALHOST)
    return ca, leaf, showing(leaf, leaf_key)


def shake(client, server, name="localhost"):
    """Both sides' handshake, in memory. Raises what the client says."""
    to, back = ssl.MemoryBIO(), ssl.MemoryBIO()
    ours, theirs = (
        client.wrap_bio(back, to, server_hostname=name),
        server.wrap_bio(to, back, server_side=True),
    )
    for side in (ours, theirs, ours):
        try:
            side.do_handshake()
        except ssl.SSLWantReadError:
            continue


def test_an_old_authority_and_a_pinned_certificate_are_good(tmp_path):
    ca, leaf, server = old()
    shake(trusting(cadata=ca), server)
    shake(trusting(cadata=leaf), server)
    file = tmp_path / "ca.pem"
    file.write_text(ca)
    shake(trusting(cafile=str(file)), server)
    assert not trusting().verify_flags & ssl.VERIFY_X509_STRICT  # the default from Python 3.13 on


def test_what_is_not_trusted_is_refused():
    ca, _, server = old()
    for trust, name in (
        (trusting(), "localhost"),
        (trusting(cadata=server_tls()[0]), "localhost"),
        (trusting(cadata=ca), "other"),
    ):
        with pytest.raises(ssl.SSLCertVerificationError):
            shake(trust, server, name)
