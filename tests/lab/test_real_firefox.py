"""The main path of the page in Firefox, over the real chain."""

import pytest
from support.firefox import firefox, main_path
from support.real_page import real_gateway

pytestmark = [pytest.mark.lab, pytest.mark.timeout(180)]


async def test_the_main_path(cluster, tmp_path):
    assert cluster
    firefox()
    async with real_gateway(tmp_path) as serve:
        link = f"{serve.access.url}/#ticket={await serve.ticket()}&path=/"
        await main_path(link, "bash-0", "bash-0", tmp_path)
