"""Does `dap kubeconfig`: writes with what kubectl finds the gateway, and who one is."""

import json
import shlex
from typing import Any
from urllib.parse import quote

from gateway import private_file
from gateway.cli.console import say
from gateway.cli.kubeconfig.document import fetched
from gateway.client.endpoint import needed
from gateway.settings.config import DEFAULT
from gateway.settings.loader import load
from gateway.settings.paths import state_dir


def run(cluster: str, *, raw: bool, merge: bool) -> None:
    """Prints the kubeconfig, or merges it into the user's own, or writes it and prints the line that has a shell use it.
    `cluster`: whose context is the current one. Raises GatewayFailed, ConfigError, OSError.
    """
    config = load()
    document = fetched(config, needed(config), cluster)
    if merge:
        _merge(document)
        return
    text = json.dumps(document, indent=2) + "\n"
    if raw:
        print(text, end="")
        return
    name = "kubeconfig" if cluster == DEFAULT else f"kubeconfig-{quote(cluster, safe='')}"
    path = state_dir() / name
    private_file.write(path, text)
    say(f"kubectl's current context is {document['current-context']}")
    print(f"export KUBECONFIG={shlex.quote(str(path))}")


def _merge(document: dict[str, Any]) -> None:
    from gateway.cli.kubeconfig import user_file  # noqa: PLC0415  # YAML takes a third of the start

    path = user_file.path_of()
    found, wanted = user_file.merge(path, document), document["current-context"]
    names = ", ".join(one["name"] for one in document["contexts"])
    say(f"merged into {path}: {names}")
    hint = "" if found.current == wanted else f" (kubectl config use-context {wanted} changes that)"
    say(f"kubectl's current context is {found.current}{hint}")
