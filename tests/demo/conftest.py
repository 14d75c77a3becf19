"""A demo chain, and a client on it."""

import pytest
from demo.client import login

from gateway.demo import demo_chain


@pytest.fixture
async def demo():
    async with demo_chain() as settings:
        yield settings


@pytest.fixture
async def ssh(demo):
    async with login(demo) as connection:
        yield connection
