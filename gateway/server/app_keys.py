"""What the app and its requests carry: each route takes the parts that it needs."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from aiohttp import web

from gateway.access.access import Access
from gateway.access.identity import Identity
from gateway.access.impersonation import Impersonation
from gateway.access.peer import Peer
from gateway.backends.contract import Backend
from gateway.server.files.transfer import Transfers
from gateway.server.health_cache import HealthCache
from gateway.server.lists.live_lists import LiveLists
from gateway.server.metrics import Metrics
from gateway.server.namespaces import Namespaces
from gateway.server.page_links import PageLinks
from gateway.server.tls import TlsListener
from gateway.server.websocket.upgrades import Upgrades
from gateway.sessions.registry import SessionRegistry
from gateway.settings.config import Cluster, Limits

if TYPE_CHECKING:
    from gateway.server.relayed import Relayed  # which needs these keys itself

ACCESS: web.AppKey[Access] = web.AppKey("access", Access)
BACKENDS: web.AppKey[dict[str, Backend]] = web.AppKey("backends", dict)
CHECKS: web.AppKey[HealthCache] = web.AppKey("checks", HealthCache)
CLUSTERS: web.AppKey[Mapping[str, Cluster]] = web.AppKey("clusters")
IMPERSONATION: web.AppKey[Impersonation] = web.AppKey("impersonation", Impersonation)
LISTS: web.AppKey[LiveLists] = web.AppKey("lists", LiveLists)
LIMITS: web.AppKey[Limits] = web.AppKey("limits", Limits)
LINKS: web.AppKey[PageLinks] = web.AppKey("links", PageLinks)
METRICS: web.AppKey[Metrics] = web.AppKey("metrics", Metrics)
NAMESPACES: web.AppKey[Namespaces] = web.AppKey("namespaces", Namespaces)
PRODUCTION: web.AppKey[tuple[str, ...]] = web.AppKey("production", tuple)
REGISTRY: web.AppKey[SessionRegistry] = web.AppKey("registry", SessionRegistry)
RELAYED: web.AppKey["Relayed"] = web.AppKey("relayed")
SPDY_EXEC: web.AppKey[bool] = web.AppKey("spdy_exec", bool)
TLS: web.AppKey[TlsListener] = web.AppKey("tls", TlsListener)
TRANSFERS: web.AppKey[Transfers] = web.AppKey("transfers", Transfers)
UPGRADES: web.AppKey[Upgrades] = web.AppKey("upgrades", Upgrades)
PEER: web.RequestKey[Peer] = web.RequestKey("peer", Peer)
IDENTITY: web.RequestKey[Identity] = web.RequestKey("identity", Identity)
