"""`dap tokens`: credentials of machines."""

import json

import pytest
from support.repeated import again


def test_from_its_making_to_its_end(called, demo_home, at):
    port = json.loads((demo_home.path / "state" / "dap" / "serving.json").read_text())["listen"][0][1]
    made = called("tokens", "create", "ci", "--verbs", "exec", "--expires", "12h", env=at)
    assert (made.code, made.out.count(b"\n")) == (0, 1)
    assert made.err == "dap: good for 12h, as DAP_GATEWAY_TOKEN or as a bearer token; it is not shown again\n"
    given = {"DAP_GATEWAY_URL": f"http://127.0.0.1:{port}", "DAP_GATEWAY_TOKEN": made.out.decode().strip()}
    let_in = called("exec", "web-0", "--", "echo", "hello", env=given)
    refused = called("tokens", "create", "other", env=given)
    listed = called("tokens", env=at)
    assert (let_in.code, let_in.out) == (0, b"hello\n")
    assert (refused.code, "may not make tokens here" in refused.err) == (125, True), refused.err
    head, row = [line.split() for line in listed.out.decode().splitlines()]
    assert head == ["NAME", "FOR", "FROM", "EXPIRES", "USED", "SESSIONS"]
    assert row[:6] == ["ci", "verbs", "exec", "127.0.0.1", "in", "11h"]

    revoked = called("tokens", "revoke", "ci", env=at)
    assert (revoked.code, revoked.out, revoked.err) == (0, b"", "")
    late = called("exec", "web-0", "--", "true", env=given)
    none = called("tokens", "--json", env=at)
    unknown = called("tokens", "revoke", "ci", env=at)
    assert late.code == 125
    assert json.loads(none.out) == {"tokens": []}
    assert (unknown.code, "there is no token ci: dap tokens lists them" in unknown.err) == (125, True)


@pytest.mark.parametrize("time", ["30", again("d"), "-1d", again("1w"), "1d2h", "9999999d"])
def test_what_is_no_time_is_wrong_usage(called, time):
    done = called("tokens", "create", "ci", "--expires", time)
    assert done.code == 2
    assert "write days, hours or minutes as in 30d" in " ".join(done.err.split()).replace("\u2502 ", "")
