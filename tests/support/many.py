"""Many objects in a namespace of the real chain."""

import json
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPSConnection
from urllib.parse import urlsplit

from support.exec_client import Access

WORKERS = 8


def make_config_maps(api: Access, space: str, count: int) -> None:
    """Creates ConfigMaps `c-1` and so on, a few at a time, over connections that stay."""

    def some(numbers: range) -> None:
        connection = HTTPSConnection(urlsplit(api.url).netloc, context=api.tls, timeout=30)
        for number in numbers:
            body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": f"c-{number}"}}
            path = f"/api/v1/namespaces/{space}/configmaps"
            connection.request("POST", path, json.dumps(body | {"data": {"a": "x" * 200}}),
                               {"Content-Type": "application/json"})  # fmt: skip
            answer = connection.getresponse()
            assert answer.status == 201, answer.read()
            answer.read()
        connection.close()

    with ThreadPoolExecutor(WORKERS) as pool:
        list(pool.map(some, [range(one, count, WORKERS) for one in range(WORKERS)]))
