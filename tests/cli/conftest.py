import pytest
from support.dap import Home


@pytest.fixture
def home(tmp_path):
    """An empty home directory for `dap`."""
    (tmp_path / "run").mkdir(mode=0o700)
    return Home(tmp_path)
