"""What kubectl's answer about its context means."""

import asyncio
from contextlib import asynccontextmanager

import pytest

from gateway.backends.kube.namespace import context_namespace
from gateway.errors import HopFailed
from gateway.protocol.messages import Stream
from gateway.protocol.outcome import Outcome, ended

KUBECTL = ("kubectl",)


def kubectl(answer, outcome=None, *, hangs=False):
    """A kubectl that answers so; `asked` has its arguments."""

    class Channel:
        async def output(self):
            yield Stream.STDOUT, answer
            if hangs:
                await asyncio.Event().wait()

        async def wait(self):
            return outcome or ended(0)

    @asynccontextmanager
    async def run(argv):
        run.asked = argv
        yield Channel()

    return run


@pytest.mark.parametrize(
    ("answer", "name"), [(b"", "default"), (b"\n", "default"), (b"team-a", "team-a"), (b"team-a\n", "team-a")]
)
async def test_a_context_that_names_none_means_default(answer, name):
    run = kubectl(answer)

    assert await context_namespace(run, KUBECTL) == name
    assert "--context" not in run.asked
    assert await context_namespace(run, ("k3s", "kubectl", "--context", "prod")) == name
    assert run.asked[:4] == ("k3s", "kubectl", "--context", "prod")


async def test_without_any_context_kubectl_itself_says_what_is_missing():
    words = "current-context must exist in order to minify"

    assert (
        await context_namespace(kubectl(b"", Outcome("kubectl_failed", f"error: {words}")), KUBECTL)
        == "default"
    )


@pytest.mark.parametrize("answer", [b"-n", b"a/b", b"../x", b"a b", b"\xff", b"a\nb", b"x" * 64])
async def test_what_is_no_name_goes_no_further(answer):
    with pytest.raises(HopFailed, match="is not a namespace name") as caught:
        await context_namespace(kubectl(answer), KUBECTL)
    assert caught.value.code == "kubectl_failed"


async def test_a_kubectl_that_hangs_is_told_by_name():
    with pytest.raises(HopFailed, match="did not tell") as caught:
        await context_namespace(kubectl(b"", hangs=True), KUBECTL, seconds=0.01)
    assert caught.value.code == "runner_timeout"
