"""Which certificates are good is curl's and kubectl's choice, on every Python: 3.13 and later refuse more of them."""

import datetime as dt
import ssl

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from support.tls_front import server_tls

from gateway.client.tls import trusting


def issued(tmp_path):
    """(an authority as old programs make it, without key usage and key identifiers; a leaf of it; a server's context)"""
    now = dt.datetime.now(dt.UTC)
    key, leaf_key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())

    def made(name, public, *extensions):
        builder = x509.CertificateBuilder(
            x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "old authority")]),
            x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)]),
            public,
            x509.random_serial_number(),
            now - dt.timedelta(hours=1),
            now + dt.timedelta(hours=1),
        )
        for extension in extensions:
            builder = builder.add_extension(extension, critical=False)
        return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)

    ca = made("old authority", key.public_key(), x509.BasicConstraints(ca=True, path_length=None))
    leaf = made("leaf", leaf_key.public_key(), x509.SubjectAlternativeName([x509.DNSName("localhost")]))
    pair = tmp_path / "pair"
    pair.write_bytes(
        leaf
        + leaf_key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(pair)
    return ca.decode(), leaf.decode(), server


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
    ca, leaf, server = issued(tmp_path)
    shake(trusting(cadata=ca), server)
    shake(trusting(cadata=leaf), server)
    file = tmp_path / "ca.pem"
    file.write_text(ca)
    shake(trusting(cafile=str(file)), server)
    assert not trusting().verify_flags & ssl.VERIFY_X509_STRICT  # the default from Python 3.13 on


def test_what_is_not_trusted_is_refused(tmp_path):
    ca, _, server = issued(tmp_path)
    for trust, name in (
        (trusting(), "localhost"),
        (trusting(cadata=server_tls()[0]), "localhost"),
        (trusting(cadata=ca), "other"),
    ):
        with pytest.raises(ssl.SSLCertVerificationError):
            shake(trust, server, name)
