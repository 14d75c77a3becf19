"""The main path of the page in Firefox, over the real chain."""

import pytest
from faultrig.served import Serve
from support.firefox import firefox, main_path

pytestmark = [pytest.mark.lab, pytest.mark.timeout(180)]


async def test_the_main_path(cluster, tmp_path):
    assert cluster
    firefox()
    serve = Serve("relay", tmp_path)
    try:
        await serve.start()
        link = f"{serve.access.url}/#ticket={await serve.ticket()}&path=/"
        await main_path(link, "bash-0", "bash-0", tmp_path)
        await serve.clear()
    finally:
        await serve.end()
