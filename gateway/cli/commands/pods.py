"""Does `dap pods`: a cluster's pods, as the API server lays them out."""

import asyncio
import json
from urllib.parse import quote

from gateway.backends.kube import workloads
from gateway.cli import signals
from gateway.cli.connect import gateway
from gateway.cli.console import safe, say
from gateway.cli.table import table
from gateway.client import tables
from gateway.client.cluster import Cluster
from gateway.client.endpoint import Endpoint
from gateway.settings.loader import load


def run(cluster: str, namespace: str, selector: str, *, wide: bool, as_json: bool, every: bool) -> int:
    """Prints the pods of a namespace, the default one where it is empty; of all with `every`. Returns 0. Raises GatewayFailed,
    ConfigError.
    """
    return signals.run(_run(cluster, namespace, selector, wide=wide, as_json=as_json, every=every))


async def _run(cluster: str, namespace: str, selector: str, *, wide: bool, as_json: bool, every: bool) -> int:
    async with gateway(load(), quiet=False) as endpoint:
        found = "" if every else namespace or await Cluster(endpoint, cluster).default_namespace()
        pages = await asyncio.to_thread(_fetched, endpoint, cluster, found, selector)
    columns = pages[0].columns
    rows = [row for page in pages for row in page.rows]
    if as_json:
        names = [name.lower() for name, _ in columns]
        print(json.dumps([
            {"namespace": row.namespace, **dict(zip(names, row.cells, strict=True))} for row in rows
        ]))  # fmt: skip
    elif rows:
        shown = [at for at, (_, priority) in enumerate(columns) if wide or not priority]
        head = [columns[at][0].upper() for at in shown]
        lines = [[safe(row.cells[at]) for at in shown] for row in rows]
        if every:
            head, lines = (
                ["NAMESPACE", *head],
                [[safe(row.namespace), *line] for row, line in zip(rows, lines, strict=True)],
            )
        print(table(head, lines))
    else:
        say(f"no pods {'in any namespace' if every else f'in namespace {found}'}")
    return 0


def _fetched(endpoint: Endpoint, cluster: str, namespace: str, selector: str) -> list[tables.Page]:
    return list(
        tables.pages(endpoint, cluster, workloads.collection(quote(namespace, safe=""), "pods"), selector)
    )
