"""The runner as its settings name it: kubectl under another name, an Incus project, a remote; on each chain."""

from dataclasses import replace
from pathlib import Path

import pytest
from support.exec_client import Access, Request, run
from support.repeated import again
from support.served import cluster_at, config_for, served

from gateway.errors import HopFailed
from gateway.protocol.subprotocols import OWN

POD = "/api/v1/namespaces/default/pods/web-0"
MODES = pytest.mark.parametrize("mode", ["plain", "relay"])


def on(demo, mode, **settings):
    return replace(
        cluster_at(demo.ssh_host, demo.ssh_key, demo.known_hosts, demo.instance, mode=mode), **settings
    )


def renamed(demo):
    """Kubectl is a word of another program there, as with k3s."""
    programs = demo.directory / "bin"
    (programs / "kubectl").rename(programs / "kubectl-here")
    (programs / "k3s").write_text(
        '#!/bin/sh\n[ "$1" = kubectl ] && shift && exec kubectl-here "$@"\nexit 2\n'
    )
    (programs / "k3s").chmod(0o700)
    return demo


async def echoed(gateway, **more):
    said = await run(
        Access(gateway.url, gateway.token), Request(("echo", "hi"), **{"pod": "web-0", **more}), row=OWN
    )
    return said.stdout, said.controls[-1]


@MODES
async def test_kubectl_may_be_a_word_of_another_program(own_demo, tmp_path, mode):
    cluster = on(renamed(own_demo), mode, kubectl=("k3s", "kubectl"))
    async with served(config_for(cluster), tmp_path) as gateway:
        backend = gateway.gateway.backends["default"]
        assert (await echoed(gateway))[0] == b"hi\n"
        assert (await backend.kube.get(POD))["metadata"]["name"] == "web-0"
        assert await backend.namespace() == "default"
        assert [check.outcome for check in await backend.check()] == [None] * 4


@MODES
async def test_a_kubectl_of_another_name_or_of_the_profile_alone_is_missing_and_the_setting_is_named(
    own_demo, tmp_path, mode
):
    demo = renamed(own_demo)
    few = demo.directory / "few"
    few.mkdir()
    for program in (
        "/bin/sh",
        "/bin/bash",
        "/bin/sleep",
        "/usr/bin/python3",
    ):  # this machine may have a kubectl
        (few / Path(program).name).symlink_to(program)
    with (demo.directory / "runner" / ".profile").open("a") as profile:
        profile.write(f"PATH={demo.directory}/bin:{few}\n")
        profile.write("alias kubectl='k3s kubectl'\nkubectl() { k3s kubectl \"$@\"; }\n")
    async with served(config_for(on(demo, mode)), tmp_path) as gateway:
        backend = gateway.gateway.backends["default"]
        ends = [(await echoed(gateway))[1], (await backend.check())[-1].outcome.as_control("end")]
        with pytest.raises(HopFailed) as failed:
            await backend.kube.get(POD)
        ends.append(failed.value.outcome().as_control("end"))

    for end in ends:
        assert end["code"] == "kubectl_missing"
        assert "k3s kubectl" in end["message"]
        assert "the setting kubectl" in end["message"]


PLACES = {
    "project": ({"incus_project": "default"}, ""), "local": ({"vm": "local:dap-demo"}, ""),
    "no project": ({"incus_project": "shop"}, "Project not found"),
    "no remote": ({"vm": "far:dap-demo"}, 'The remote "far" doesn\'t exist'),
}  # fmt: skip


@pytest.mark.parametrize(
    ("place", "mode"),
    [
        ("project", "plain"), ("local", "relay"), ("no project", "relay"), ("no remote", "plain"),
        again("project", "relay"), again("local", "plain"), again("no project", "plain"), again("no remote", "relay"),
    ],
)  # fmt: skip
async def test_the_instance_is_where_its_project_and_remote_say(demo, tmp_path, mode, place):
    settings, words = PLACES[place]
    async with served(config_for(on(demo, mode, **settings)), tmp_path) as gateway:
        stdout, end = await echoed(gateway)

    if words:
        assert (end["code"], end["hop"]) == ("incus_not_found", "incus")
        assert words in end["message"]
    else:
        assert stdout == b"hi\n"
