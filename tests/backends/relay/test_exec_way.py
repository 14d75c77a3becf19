"""The way of exec: what is probed, what is left to kubectl and said once, and what a session sees of the API's refusals."""

import json
import sys
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest
from structlog.testing import capture_logs
from support import scripted_api
from support.scripted_api import frame, send, status
from support.served import cluster_at

from gateway.backends.factory import make
from gateway.backends.relay import remote_exec
from gateway.backends.relay.credentials import throw_away
from gateway.errors import HopFailed
from gateway.protocol.target import Command, Target
from gateway.settings.config import Limits

POD = Target("default", "default", "web-0", "main")
OUT = Command(("true",), stdout=True, stderr=True)
STDIN = Command(("true",), stdin=True, stdout=True)
TTY = Command(("true",), stdin=True, stdout=True, tty=True)
NOBODY = remote_exec.probe()["path"].split("/")[6]
UNAUTHORIZED = (
    b'{"kind":"Status","status":"Failure","message":"Unauthorized","reason":"Unauthorized","code":401}'
)
MISSING = (
    b'{"kind":"Status","status":"Failure","message":"pods \\"x\\" not found","reason":"NotFound","code":404}'
)


def http(code, body=b""):
    return [send(b"HTTP/1.1 %d X\r\nContent-Length: %d\r\n\r\n%s" % (code, len(body), body))]


GRANTED = [["open"], send(frame(b"\1api"), status())]
REFUSED = http(403)


@pytest.fixture
def kubectl(tmp_path):
    """Writes a kubectl whose proxy answers `probe` and `exec` with steps, and whose exec writes "kubectl"."""

    def write(probe, exec_, pod=(), **more):
        program = tmp_path / "kubectl"
        text = scripted_api.PROGRAM.replace("{python}", sys.executable)
        first, rest = text.split("\n", 1)
        by_hand = 'import sys\nif "proxy" not in sys.argv:\n    print("kubectl", end="")\n    sys.exit()\n'
        program.write_text(f"{first}\n{by_hand}{rest}")
        program.chmod(0o700)
        program.with_name("kubectl.json").write_text(
            json.dumps({**more, NOBODY: probe, "/exec": exec_, "/pods/": pod})
        )
        return str(program)

    return write


WHO = throw_away()  # the same for all tests, so that they have one relay


@asynccontextmanager
async def backend_on(demo, kubectl, way="auto", who=WHO, **limits):
    plain = cluster_at(demo.ssh_host, demo.ssh_key, demo.known_hosts, demo.instance, mode="relay")
    cluster = replace(plain, kubectl=(kubectl,), exec=way)
    async with make(cluster, Limits(**limits), None, who) as one:
        yield one


async def run(backend, command=OUT, target=POD):
    async with backend.exec(target, command) as channel:
        channel.write_eof()
        out = b"".join([data async for _, data in channel.output()])
        return out, await channel.wait()


@pytest.mark.parametrize(
    ("probe", "granted", "command", "by", "said"),
    [
        (http(404, MISSING), GRANTED, OUT, b"api", 0),
        (http(403, MISSING), GRANTED, TTY, b"api", 0),
        (http(502, b"dial tcp: refused"), GRANTED, OUT, b"kubectl", 1),
        (http(200, b"<html>"), GRANTED, OUT, b"kubectl", 1),
        ([["open"]], GRANTED, OUT, b"kubectl", 1),
        (http(404, MISSING), REFUSED, STDIN, b"kubectl", 1),
        (http(404, MISSING), REFUSED, OUT, b"kubectl", 1),
    ],
    ids=["a-status", "forbidden", "no-upgrades", "another-server", "granted", "no-v5", "no-websocket"],
)
async def test_what_does_not_work_is_left_to_kubectl_and_said_once(
    demo, kubectl, probe, granted, command, by, said
):
    with capture_logs() as logs:
        async with backend_on(demo, kubectl(probe, granted)) as backend:
            results = [await run(backend, command) for _ in range(2)]
            note = next(hop.note for hop in await backend.check() if hop.hop == "runner")

    assert [(out, outcome.exit_code) for out, outcome in results] == [(by, 0)] * 2
    assert len([line for line in logs if line["event"] == "api_exec_impossible"]) == said
    assert ("exec api" in note) == (by == b"api" or command is STDIN)


async def test_what_did_not_answer_is_probed_anew_and_taken_once_it_does(demo, kubectl, monkeypatch):
    async with backend_on(demo, kubectl(http(502), GRANTED)) as backend:
        assert (await run(backend))[0] == b"kubectl"
        kubectl(http(404, MISSING), GRANTED)
        assert (await run(backend))[0] == b"kubectl"
        monkeypatch.setattr("gateway.backends.relay.exec_way.AGAIN", -1.0)
        assert (await run(backend))[0] == b"api"


async def test_a_proxy_that_cuts_sessions_at_one_age_is_left_for_kubectl_and_said_once(
    demo, kubectl, monkeypatch
):
    for limit in ("_SHORT", "_APART"):
        monkeypatch.setattr(f"gateway.backends.relay.cuts.{limit}", 0.0)
    cut = [["open"], send(frame(b"\1cut")), ["end"]]
    with capture_logs() as logs:
        async with backend_on(demo, kubectl(http(404, MISSING), cut)) as backend:
            results = [await run(backend) for _ in range(4)]
            note = next(hop.note for hop in await backend.check() if hop.hop == "runner")

    assert [out for out, _ in results] == [b"cut", b"cut", b"kubectl", b"kubectl"]
    assert results[0][1].code == "cluster_lost"
    assert "closed, 0 s after the command began" in results[0][1].message
    assert len([line for line in logs if line["event"] == "api_exec_impossible"]) == 1
    assert "exec kubectl, since something before the API server ends a WebSocket after 0 s" in note


async def test_a_terminal_goes_over_the_api_where_input_with_an_end_does_not(demo, kubectl):
    v4 = [["open", "v4.channel.k8s.io"], send(frame(b"\1api"), status())]
    async with backend_on(demo, kubectl(http(404, MISSING), v4)) as backend:
        assert [(await run(backend, one))[0] for one in (TTY, STDIN, OUT)] == [b"api", b"kubectl", b"api"]


async def test_a_container_that_is_not_named_is_the_one_that_kubectl_takes(demo, kubectl):
    spec = b'{"spec":{"containers":[{"name":"a"},{"name":"b"}]}}'
    program = kubectl([], [["open"], ["head"], send(status())], http(200, spec))
    async with backend_on(demo, program, "api") as backend:
        head = (await run(backend, target=replace(POD, container=None)))[0]

    assert b"/pods/web-0/exec?container=a&" in head


@pytest.mark.parametrize("way", ["api", "auto"])
async def test_credentials_that_may_be_out_of_date_are_asked_for_anew_once(demo, kubectl, monkeypatch, way):
    monkeypatch.setattr("gateway.backends.relay.exec_way.STALE", -1.0)
    spec = b'{"spec":{"containers":[{"name":"a"}]}}'
    program = kubectl(http(404, MISSING), http(401, UNAUTHORIZED), http(200, spec), **{"kubectl-2": GRANTED})
    async with backend_on(demo, program, way, throw_away()) as backend:  # counts its proxies
        out, outcome = await run(backend, target=replace(POD, container=None))

    assert (out, outcome.exit_code) == (b"api", 0)


async def test_an_older_relay_and_a_workload_are_for_kubectl(demo, kubectl):
    async with backend_on(demo, kubectl(http(404, MISSING), GRANTED)) as backend:
        workload = replace(POD, pod="deploy/web")
        assert (await run(backend, target=workload))[0] == b"kubectl"
        (await backend.link()).about["features"] = ["proxy"]
        assert (await run(backend))[0] == b"kubectl"


LONG = (  # of a whole script in one word
    b'{"status":"Failure","message":"Internal error occurred: failed to exec in container: OCI runtime exec failed: exec: '
    b'\\"echo %s\\": stat: file name too long: unknown","reason":"InternalError","code":500}' % (b"x" * 5000)
)
ENDS = [
    (http(404, MISSING), "pod_not_found", 'pods "x" not found'),
    (REFUSED, "cluster_failed", "403: "),
    (http(401, UNAUTHORIZED), "cluster_unauthorized", "Unauthorized"),
    (http(502, b"dial tcp 10.0.0.1:6443: refused"), "cluster_unreachable", "dial tcp 10.0.0.1:6443: refused"),
    ([["open"], send(status(b"no json"))], "cluster_lost", "no Status"),
    ([["open"], ["end"]], "cluster_lost", "the connection to the API server: "),
    ([["open"], ["die"]], "kubectl_killed", "kubectl proxy in the runner ended before the command"),
    ([["open"], send(b"\xff\xff")], "cluster_lost", "broke a rule"),
    (
        [["open"], send(status(b'{"status":"Failure","message":"Internal error occurred: unable to upgrade connection: '
                               b'container not found (\\"main\\")","reason":"InternalError","code":500}'))],
        "container_not_running", "container not found",
    ),
    ([["open"], send(status(LONG))], "start_failed", '"echo xxxx'),
]  # fmt: skip
LATE = [
    ([["open", "v4.channel.k8s.io"], ["sleep", 1]], "cluster_failed", "the API server opened no WebSocket: "),
    ([["sleep", 9]], "cluster_unreachable", "no answer within 1 s"),
]


@pytest.mark.parametrize(("start", "rows"), [(30.0, ENDS), (2.0, LATE)], ids=["soon", "late"])
async def test_without_a_choice_the_end_is_named(demo, kubectl, subtests, start, rows):
    async with backend_on(demo, kubectl(http(500), []), "api", start=start) as backend:
        await backend.link()
        for steps, code, message in rows:
            with subtests.test(code=code, message=message):
                kubectl(http(500), steps)
                try:
                    outcome = (await run(backend, STDIN))[1]
                except HopFailed as error:
                    outcome = error.outcome()

                assert outcome.code == code
                assert message in outcome.message


@pytest.mark.parametrize("way", ["api", "kubectl"])
async def test_a_command_that_no_request_can_carry_ends_no_link(demo, kubectl, way):
    """One that a client may give: of 2 MiB at most, which are three and six times as long on the way."""
    command = replace(OUT, argv=("echo", "\x01" * ((2 << 20) - 10)))
    async with backend_on(demo, kubectl(http(404, MISSING), GRANTED), way) as backend:
        link = await backend.link()
        with pytest.raises(HopFailed, match="too long") as refused:
            await run(backend, command)
        await link.ping()

        assert refused.value.code == "bad_request"
        assert (await run(backend))[0]
        assert await backend.link() is link


async def test_the_status_is_the_api_servers_own(demo, kubectl):
    text = b'{"metadata":{},"status":"Failure","message":"m","reason":"NonZeroExitCode","details":{"causes":[{"reason":"ExitCode","message":"7"}]}}'
    async with backend_on(demo, kubectl([], [["open"], send(status(text))]), "api") as backend:
        outcome = (await run(backend))[1]

    assert outcome.exit_code == 7
    assert outcome.status
    assert outcome.status.json() == text
