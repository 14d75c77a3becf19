"""What is trusted where this side verifies a TLS server."""

import ssl


def trusting(*, cafile: str | None = None, cadata: str | None = None) -> ssl.SSLContext:
    """Returns what TLS to a server begins with, which trusts the authorities of the file or of the PEM text, or those of the
    system. The same certificates are good on every Python, and those that are good for curl and kubectl: a company's old
    authority without the key usage of RFC 5280 4.2.1.3, which Python from 3.13 on refuses (python/cpython, gh-107361), and a pinned
    certificate whose issuer is unknown. Raises OSError and ssl.SSLError for what cannot be read.
    """
    context = ssl.create_default_context(cafile=cafile, cadata=cadata)
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    return context
