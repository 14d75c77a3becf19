"""`dap tokens`: credentials of machines, at a gateway of its own process."""

import asyncio
import json
import re
from contextlib import asynccontextmanager

import pytest
from support.repeated import again


@asynccontextmanager
async def serving(home):
    """The URL of a `dap serve --demo` that is ready."""
    words = ("serve", "--demo", "--listen", "127.0.0.1:0")
    process = await home.start(*words, stdin=asyncio.subprocess.DEVNULL)
    try:
        yield re.search(r"http://\S+", (await process.stdout.readline()).decode())[0]
    finally:
        process.terminate()
        await process.communicate()


async def test_from_its_making_to_its_end(home):
    async with serving(home) as url:
        made = await home.dap("tokens", "create", "ci", "--verbs", "exec", "--expires", "12h")
        assert (made.code, made.out.count(b"\n")) == (0, 1)
        assert (
            made.err
            == "dap: good for 12h, as DAP_GATEWAY_TOKEN or as a bearer token; it is not shown again\n"
        )
        given = {"DAP_GATEWAY_URL": url, "DAP_GATEWAY_TOKEN": made.out.decode().strip()}
        let_in, refused = await asyncio.gather(
            home.dap("exec", "web-0", "--", "echo", "hello", env=given),
            home.dap("tokens", "create", "other", env=given),
        )
        listed = await home.dap("tokens")
        assert (let_in.code, let_in.out) == (0, b"hello\n")
        assert (refused.code, "may not make tokens here" in refused.err) == (125, True), refused.err
        head, row = [line.split() for line in listed.out.decode().splitlines()]
        assert head == ["NAME", "FOR", "FROM", "EXPIRES", "USED", "SESSIONS"]
        assert row[:6] == ["ci", "verbs", "exec", "127.0.0.1", "in", "11h"]

        revoked = await home.dap("tokens", "revoke", "ci")
        assert (revoked.code, revoked.out, revoked.err) == (0, b"", "")
        late, none, unknown = await asyncio.gather(
            home.dap("exec", "web-0", "--", "true", env=given),
            home.dap("tokens", "--json"),
            home.dap("tokens", "revoke", "ci"),
        )
        assert late.code == 125
        assert json.loads(none.out) == {"tokens": []}
        assert (unknown.code, "there is no token ci: dap tokens lists them" in unknown.err) == (125, True)


@pytest.mark.parametrize("time", ["30", again("d"), "-1d", again("1w"), "1d2h", "9999999d"])
async def test_what_is_no_time_is_wrong_usage(home, time):
    done = await home.dap("tokens", "create", "ci", "--expires", time)
    assert done.code == 2
    assert "write days, hours or minutes as in 30d" in " ".join(done.err.split()).replace("\u2502 ", "")
