"""`dap config`."""

import json
import stat
import tomllib

from support.dap import on_a_terminal

from gateway.cli.commands.config import document


def test_init_writes_a_private_file_that_show_explains(home, called):
    path = home.path / "config" / "dap" / "config.toml"
    done = called("config", "init", "--ssh-host", 'o"ps@mgmt', "--listen", "localhost:9000")
    shown = called("config", "show", "--json", env={"DAP_RUNNER_VM": "vm9", "DAP_GATEWAY_TOKEN": "geheim"})

    assert done.code == 0
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    settings = json.loads(shown.out)["settings"]
    assert settings["clusters.default.ssh_host"] == {"value": 'o"ps@mgmt', "origin": str(path)}
    assert settings["clusters.default.vm"] == {"value": "vm9", "origin": "environment DAP_RUNNER_VM"}
    assert settings["clusters.default.mode"] == {"value": "auto", "origin": "default"}
    assert settings["gateway.listen"]["value"] == "localhost:9000"
    assert settings["gateway.token"]["value"] == "****"
    assert b"geheim" not in shown.out


def test_init_replaces_nothing_unless_told(home, called):
    path = home.path / "config" / "dap" / "config.toml"
    called("config", "init", "--vm", "one")
    again = called("config", "init", "--vm", "two")
    before = path.read_text()
    forced = called("config", "init", "--vm", "three", "--force")

    assert again.code == 2
    assert "--force" in again.err
    assert 'vm = "one"' in before
    assert forced.code == 0
    assert 'vm = "three"' in path.read_text()
    assert [file.name for file in path.parent.iterdir()] == ["config.toml"]


def test_init_refuses_a_mode_that_does_not_exist(home, called):
    done = called("config", "init", "--mode", "fast")

    assert done.code == 2
    assert not (home.path / "config").exists()


async def test_init_asks_on_a_terminal(home):
    async with on_a_terminal(home, "config", "init") as screen:
        await screen.until(b"]: ")
        screen.type(b"me@host\n")
        await screen.until(b"[dap-runner]: ")
        screen.type(b"\n")
        code = await screen.ended()

    written = tomllib.loads((home.path / "config" / "dap" / "config.toml").read_text())
    assert code == 0
    assert written["clusters"]["default"] == {"ssh_host": "me@host", "vm": "dap-runner"}


def test_show_is_a_table_that_cannot_move_the_cursor(called):
    done = called(
        "config", "show", env={"DAP_RUNNER_KUBE_CONTEXT": "v\x1b[2Jm", "DAP_GATEWAY_URL": "https://u:p@h"}
    )

    assert done.code == 0
    assert b"v\\x1b[2Jm" in done.out
    assert b"\x1b" not in done.out
    assert b"https://****@h" in done.out


def test_show_has_no_password_of_any_url(called):
    env = {
        "DAP_GATEWAY_PUBLIC_URL": "https://ann:s3cret@gate", "DAP_GATEWAY_URL": "ann:s3cret@gate",
        "DAP_GATEWAY_ALLOWED_ORIGINS": "https://a,https://ann:s3c@ret@b",
    }  # fmt: skip
    table, json_text = (
        called("config", "show", env=env),
        called("config", "show", "--json", env=env),
    )

    for done in (table, json_text):
        assert done.code == 0
        assert b"s3c" not in done.out + done.err.encode()
        assert b"https://a,https://****@b" in done.out


def test_a_file_that_is_not_toml_is_one_line(home, called):
    path = home.path / "config" / "dap" / "config.toml"
    path.parent.mkdir(parents=True)
    path.write_text("vm = dap-runner\n")
    done = called("config", "show")

    assert done.code == 2
    assert done.err.startswith(f"dap: {path} is not valid TOML: ")
    assert done.err.count("\n") == 1


def test_the_document_is_toml_with_every_setting_as_a_comment():
    text = document({"vm": "a\\b\x7f\n"})

    assert tomllib.loads(text) == {"clusters": {"default": {"vm": "a\\b\x7f\n"}}, "gateway": {}, "limits": {}}
    assert "# ssh_host = " in text
    assert "# token = " in text
    assert tomllib.loads(text.replace("# ssh_", "ssh_"))


def test_an_empty_home_takes_nothing_from_the_working_directory(called, monkeypatch, tmp_path):
    """Neither settings nor key nor token: somebody else may have written what lies there."""
    (tmp_path / ".config" / "dap").mkdir(parents=True)
    (tmp_path / ".config" / "dap" / "config.toml").write_text('[clusters.default]\nvm = "trap"\n')
    env = {"HOME": "", "XDG_CONFIG_HOME": "", "XDG_STATE_HOME": "", "XDG_RUNTIME_DIR": ""}
    monkeypatch.chdir(tmp_path)
    assert b"# no cluster is configured: run" in called("config", "show", env=env).out
    env["DAP_RUNNER_MODE"] = "auto"
    done = called("config", "show", "--json", env=env)

    assert done.code == 0, done.err
    shown = json.loads(done.out)
    assert not shown["file"].startswith(str(tmp_path))
    assert shown["settings"]["clusters.default.vm"]["value"] != "trap"
    assert shown["settings"]["clusters.default.ssh_key"]["value"].startswith("/")
