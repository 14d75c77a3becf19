"""Every kind of backend that settings may name is made by the factory, and no other is."""

import pytest

from gateway.backends import factory
from gateway.errors import ConfigError
from gateway.settings.config import KINDS
from gateway.settings.loader import load


def test_settings_and_factory_know_the_same_kinds():
    assert set(factory.KINDS) == set(KINDS)


def test_a_kind_that_does_not_exist_is_refused_with_those_that_do(tmp_path):
    (tmp_path / "dap").mkdir()
    (tmp_path / "dap" / "config.toml").write_text('[clusters.prod]\nkind = "telnet"\n')

    with pytest.raises(ConfigError, match=r"clusters\.prod\.kind is 'telnet'; use one of ssh"):
        load({"XDG_CONFIG_HOME": str(tmp_path), "HOME": str(tmp_path)})


def test_the_kind_is_ssh_where_nothing_names_one(tmp_path):
    env = {"HOME": str(tmp_path), "DAP_RUNNER_VM": "v"}
    assert load(env).clusters["default"].kind == "ssh"
