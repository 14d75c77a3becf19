"""Defines the errors the protocol itself can find.

ProtocolError: the peer broke the wire's rules. BadRequest: the opening request cannot be served as it is
(HTTP 400).
"""


class ProtocolError(Exception):
    """Raised for a message that the subprotocol does not allow. `close_code` is what RFC 6455, 7.4.1 has for
    it.
    """

    def __init__(self, message: str, close_code: int = 1002) -> None:
        super().__init__(message)
        self.close_code = close_code


class BadRequest(Exception):  # noqa: N818  # the field's name: Kubernetes' reason is BadRequest
    """Raised when the request names something impossible; nothing was opened."""
