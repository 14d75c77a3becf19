"""Logs and copies through real hops that are lost in their middle: no line missing or doubled, no byte another one."""

import asyncio
import hashlib
import json
import os
import re
import secrets
from contextlib import aclosing
from dataclasses import replace

import pytest
from support.lab import kubectl, namespace
from support.served import TOKEN, config_for, served
from support.waiting import until

from gateway.client import connect

pytestmark = [pytest.mark.lab, pytest.mark.alone, pytest.mark.timeout(240)]
TALKS = "i=0; while :; do i=$((i+1)); echo out $i; echo err $i >&2; [ $((i%20)) = 0 ] && usleep 50000; done"
CRASHES = "for i in 1 2 3; do echo $(date +%s) $i; sleep 1; done; echo last words; exit 3"


def started(name, *scripts):
    """Starts a pod for each script, and waits until it runs."""
    for number, script in enumerate(scripts):
        container = {
            "name": "main", "image": "docker.io/lab/busybox:1", "imagePullPolicy": "Never", "command": ["sh", "-c", script]
        }  # fmt: skip
        spec = {"terminationGracePeriodSeconds": 0, "containers": [container]}
        pod = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": f"p{number}", "labels": {"app": "p"}},
            "spec": spec,
        }
        kubectl("apply", "-n", name, "-f", "-", given=json.dumps(pod))
    kubectl("wait", "-n", name, "--for=condition=Ready", "pod", "--all", "--timeout=60s")


@pytest.fixture
def place():
    name = f"dap-verbs-{secrets.token_hex(4)}"
    with namespace(name):
        yield name


@pytest.fixture
async def gateway(cluster, tmp_path):
    async with served(config_for(replace(cluster, mode="relay")), tmp_path / "at", alone=False) as running:
        config = replace(config_for(), url=running.url, token=TOKEN)
        async with connect(config=config) as one:
            yield one


async def test_logs_are_whole_through_lost_hops_and_restarts(gateway, place, lab):
    started(place, TALKS, CRASHES)
    seen, crashes = [], []

    async def follow(name, lines, patience=200):
        async with aclosing(gateway.pod(name, namespace=place).logs(follow=True, patience=patience)) as log:
            async for line in log:
                lines.append(line.data)

    async with asyncio.TaskGroup() as tasks:
        following = [tasks.create_task(follow("p0", seen)), tasks.create_task(follow("p1", crashes))]
        for _ in range(3):
            await asyncio.sleep(6)
            await asyncio.to_thread(lab, "fault", "ssh-drop")
        count = len(seen)
        await until(lambda: len(seen) > count + 200 and crashes.count(b"last words\n") > 2, 90)
        for task in following:
            task.cancel()
    for kind in (b"out", b"err"):
        numbers = [int(line.split()[1]) for line in seen if line.startswith(kind)]
        assert numbers == list(range(1, len(numbers) + 1))
    assert re.fullmatch(rb"((\d+ \d\n){3}last words\n){3,}(\d+ \d\n)*", b"".join(crashes))


async def test_copies_are_whole_through_lost_hops(gateway, place, lab, tmp_path):
    started(place, "sleep 1000")
    pod, data = gateway.pod("p0", namespace=place), os.urandom(100 << 20)
    (tmp_path / "f").write_bytes(data)
    dropped = []

    def halfway(done, total, _):
        if done > total / 3 and not dropped:
            dropped.append(1)
            lab("fault", "ssh-drop")

    up = await pod.upload(tmp_path / "f", "/tmp/f", progress=halfway)
    assert (await pod.run(["sha256sum", "/tmp/f"], text=True)).stdout.split()[0] == hashlib.sha256(
        data
    ).hexdigest()
    dropped.clear()
    down = await pod.download("/tmp/f", tmp_path / "g", progress=halfway)
    assert (tmp_path / "g").read_bytes() == data
    assert (up.sha256, up.unverified, down.sha256, dropped) == (
        down.sha256,
        0,
        hashlib.sha256(data).hexdigest(),
        [1],
    )
    assert (await pod.run(["ls", "-A", "/tmp"], text=True)).stdout == "f\n"


async def test_a_directory_of_an_image_comes_whole(gateway, place, tmp_path):
    """In busybox find, stat, tar and dd are one program, of which there are hundreds of names."""
    started(place, "sleep 1000")
    pod = gateway.pod("p0", namespace=place)
    made = "mkdir -p /tmp/d/e; cp /bin/busybox /tmp/d/e; ln -s e/busybox /tmp/d/l; touch -d @1000000000 /tmp/d/e; chmod 750 /tmp/d/e"
    await pod.run(["sh", "-c", made], check=True)
    down = await pod.download("/tmp/d", tmp_path / "d")
    assert (down.files, down.unverified, down.skipped) == (1, 0, {})
    assert (tmp_path / "d" / "l").read_bytes() == (tmp_path / "d" / "e" / "busybox").read_bytes()
    stat = (tmp_path / "d" / "e").stat()
    assert (stat.st_mode & 0o777, stat.st_mtime) == (0o750, 1_000_000_000)
    assert (await pod.upload(tmp_path / "d", "/tmp/back")).skipped == {}
    told = await pod.run(["sh", "-c", "cd /tmp && cmp d/l back/l && stat -c '%a %Y' back/e"], text=True)
    assert (told.exit_code, told.stdout) == (0, "750 1000000000\n")
