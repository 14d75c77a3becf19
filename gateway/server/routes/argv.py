"""The command of a session whose arguments come in messages behind the handshake."""

import asyncio

from aiohttp import WSMsgType, web

from gateway.protocol import query
from gateway.protocol.argv import IN_BAND, ArgvReader
from gateway.protocol.codec import ClientDecoder
from gateway.protocol.errors import BadRequest, ProtocolError
from gateway.protocol.subprotocols import Subprotocol
from gateway.server.websocket.socket import Socket

_PAUSE = 10.0  # seconds for the next message to come


async def fields_of(request: web.Request, websocket: Socket, row: Subprotocol) -> list[tuple[str, str]]:
    """Returns the names and values of the query, with the command that comes in band in the place of the query's, where
    one is announced. Raises BadRequest.
    """
    fields = query.parse_query(request.rel_url.raw_query_string)
    if not row.control or IN_BAND not in fields:
        return fields
    argv = await _read(websocket, row)
    return [*(field for field in fields if field[0] != "command"), *(("command", one) for one in argv)]


async def _read(websocket: Socket, row: Subprotocol) -> tuple[str, ...]:
    reader, decoder = ArgvReader(), ClientDecoder(row)
    while True:
        try:
            async with asyncio.timeout(_PAUSE):
                message = await websocket.next_message()
            if message.type is not WSMsgType.BINARY:
                raise BadRequest("the command did not come: the client has closed")
            for one in decoder.decode(message.data):
                if (argv := reader.take(one)) is not None:
                    return argv
        except TimeoutError:
            raise BadRequest(f"the command did not come: no message within {_PAUSE:g} s") from None
        except ProtocolError as error:
            raise BadRequest(str(error)) from None
