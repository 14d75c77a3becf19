"""What the app and its requests carry."""

from aiohttp import web

from gateway.server.gateway import Gateway
from gateway.session import Identity

GATEWAY: web.AppKey[Gateway] = web.AppKey("gateway", Gateway)
IDENTITY: web.RequestKey[Identity] = web.RequestKey("identity", Identity)
