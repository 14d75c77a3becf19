"""Signs the record that a relay keeps of a session: whoever is root in the runner can change it, and must not be believed."""

import hashlib
import hmac
import json
from collections.abc import Mapping
from typing import Any

_MAC = "mac"  # the member of a record that has the signature


class Seal:
    """Signs and checks records of one cluster's sessions with the gateway's own key, which no relay knows."""

    def __init__(self, key: bytes, cluster: str) -> None:
        self._key = key
        self._cluster = cluster

    def sign(self, name: str, record: Mapping[str, Any]) -> dict[str, Any]:
        """Returns the record of the session `name` with its signature."""
        return {**record, _MAC: self._mac(name, record)}

    def open(self, name: str, signed: Mapping[str, Any]) -> dict[str, Any] | None:
        """Returns the record without its signature; None unless this gateway has signed it for this session."""
        record = {key: value for key, value in signed.items() if key != _MAC}
        mac = str(signed.get(_MAC)).encode()
        return record if hmac.compare_digest(mac, self._mac(name, record).encode()) else None

    def _mac(self, name: str, record: Mapping[str, Any]) -> str:
        """HMAC-SHA256 over one canonical text: JSON in ASCII, with sorted members and no white space."""
        text = json.dumps([self._cluster, name, record], sort_keys=True, separators=(",", ":"))
        return hmac.new(self._key, text.encode("ascii"), hashlib.sha256).hexdigest()
