"""Signs the records of sessions that a relay keeps, since root in the runner can change such a record."""

import hashlib
import hmac
import json
from collections.abc import Mapping
from typing import Any

_MAC = "mac"  # the member of a signed record that has the signature


class Seal:
    """Signs and checks records of one cluster's sessions with the gateway's own key, which no relay knows."""

    def __init__(self, key: bytes, cluster: str) -> None:
        self._key = key
        self._cluster = cluster

    def sign(self, name: str, record: Mapping[str, Any]) -> dict[str, Any]:
        """Returns the record with a signature that holds for the session `name` alone."""
        return {**record, _MAC: self._mac(name, record)}

    def open(self, name: str, signed: Mapping[str, Any]) -> dict[str, Any] | None:
        """Checks the signature for the session `name`; returns the record without it, or None if it is wrong or
        missing.
        """
        record = {key: value for key, value in signed.items() if key != _MAC}
        mac = str(signed.get(_MAC)).encode()
        return record if hmac.compare_digest(mac, self._mac(name, record).encode()) else None

    def _mac(self, name: str, record: Mapping[str, Any]) -> str:
        """Returns the HMAC-SHA256 of cluster, name and record as canonical JSON: ASCII, sorted members, no white
        space.
        """
        text = json.dumps([self._cluster, name, record], sort_keys=True, separators=(",", ":"))
        return hmac.new(self._key, text.encode("ascii"), hashlib.sha256).hexdigest()
