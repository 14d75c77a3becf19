"""Lists objects of a cluster as the API server lays them out for people: Tables (meta.k8s.io/v1), page by page."""

import time
from collections.abc import Iterator
from typing import Any, NamedTuple
from urllib.parse import quote, urlencode

from gateway.client import http
from gateway.client.endpoint import Endpoint
from gateway.client.exit_status import UNREACHABLE, GatewayFailed

_ACCEPT = "application/json;as=Table;v=v1;g=meta.k8s.io"
_PAGE = 500  # rows
_OK = 200


class Row(NamedTuple):
    """Holds one object. `cells`: as the table's columns have them."""

    namespace: str
    name: str
    cells: tuple[str, ...]


class Page(NamedTuple):
    """Holds some rows of a table. `columns`: names of columns with their priority: 0 for those that are always shown."""

    columns: tuple[tuple[str, int], ...]
    rows: list[Row]


def pages(
    endpoint: Endpoint, cluster: str, path: str, selector: str = "", seconds: float = 30.0
) -> Iterator[Page]:
    """Yields the list at `path` of the cluster's API, page by page, within `seconds` in all. Blocks. Raises GatewayFailed."""
    end, going_on = time.monotonic() + seconds, ""
    while True:
        query = {
            "limit": str(_PAGE),
            "includeObject": "Metadata",
            "continue": going_on,
            "labelSelector": selector,
        }
        where = f"/clusters/{quote(cluster, safe='')}{path}?{urlencode({key: one for key, one in query.items() if one})}"
        left = end - time.monotonic()
        if left <= 0:
            raise GatewayFailed(UNREACHABLE, f"the list did not end within {seconds:g} s", passing=True)
        status, body = http.request(endpoint, "GET", where, timeout=left, accept=_ACCEPT)
        if status != _OK:
            raise http.refused(status, body)
        try:
            yield _page(body)
            going_on = body["metadata"].get("continue") or ""
        except (KeyError, TypeError, AttributeError):
            raise http.unreadable(path) from None
        if not going_on:
            return


def _page(body: Any) -> Page:
    columns = tuple((str(one["name"]), int(one.get("priority") or 0)) for one in body["columnDefinitions"])
    rows = []
    for row in body["rows"] or ():
        meta = row["object"]["metadata"]
        rows.append(Row(meta.get("namespace") or "", meta["name"], tuple(str(cell) for cell in row["cells"])))
    return Page(columns, rows)
