"""What the app and its requests carry."""

from aiohttp import web

from gateway.access.identity import Identity
from gateway.server.gateway import Gateway

GATEWAY: web.AppKey[Gateway] = web.AppKey("gateway", Gateway)
IDENTITY: web.RequestKey[Identity] = web.RequestKey("identity", Identity)
