"""The page in another engine, over WebDriver BiDi: what a person does most, once. tests/lab does the same on the real chain."""

import pytest
from support.firefox import firefox, main_path
from support.served import TOKEN, cluster_at, config_for, served

pytestmark = [pytest.mark.browser, pytest.mark.repetition]


async def test_the_main_path(demo, tmp_path):
    firefox()
    cluster = cluster_at(demo.ssh_host, demo.ssh_key, demo.known_hosts, demo.instance, mode="relay")
    async with served(config_for(cluster), tmp_path) as gateway:
        tokens = gateway.gateway.access.tokens
        await main_path(
            f"{gateway.url}/#ticket={tokens.ticket(tokens.identity(TOKEN))}&path=/", "bash-0", "ba", tmp_path
        )
