"""One relay for the gateways of a module."""

import pytest

from gateway.backends.relay import credentials


@pytest.fixture(scope="module")
def _same():
    return credentials.throw_away()


@pytest.fixture
def one_relay(_same, monkeypatch):
    """Gateways of this module's tests have the same relay and its kubectl proxy, which are dear to start: for tests that
    share `demo`, and neither look at a relay's start nor set what it is started with.
    """
    monkeypatch.setattr(credentials, "throw_away", lambda: _same)
