"""Python's `kubernetes_asyncio`: the table's actions. It has no port-forward, and its WebSocket speaks v4 alone."""

import asyncio
import json

from kubernetes_asyncio import config, watch
from kubernetes_asyncio.client import (
    ApiClient,
    ApiException,
    AppsV1Api,
    CoreV1Api,
    CustomObjectsApi,
    VersionApi,
)
from kubernetes_asyncio.stream import WsApiClient
from talk import (
    CODES,
    INPUT,
    LINES,
    MANY,
    NAME,
    POD,
    SIZE,
    SPACE,
    TERMINAL,
    attachable,
    config_map,
    digest,
    refusal,
    script,
    serve,
)

STRATEGIC, MERGE, JSON, APPLY = (
    f"application/{kind}"
    for kind in ("strategic-merge-patch+json", "merge-patch+json", "json-patch+json", "apply-patch+yaml")
)


def with_client(action):
    """Runs an action with an API client of its own, which needs the event loop."""

    async def run():
        await config.load_kube_config()
        async with ApiClient() as client:
            return await action(CoreV1Api(client), AppsV1Api(client))

    return run


async def refused(call):
    """Returns what the API server says against a call."""
    try:
        await call
    except ApiException as error:
        return refusal(error.status, error.body)
    raise AssertionError("not refused")


async def get(core, _):
    pod = await core.read_namespaced_pod("bash-0", "default")
    version = await VersionApi(core.api_client).get_code()
    return {
        "name": pod.metadata.name, "uid": pod.metadata.uid, "spec": pod.spec.to_dict(), "version": version.to_dict(),
    }  # fmt: skip


async def missing(core, _):
    return await refused(core.read_namespaced_pod("nope", "default"))


async def long_list(core, _):
    def names(items):
        return [f"{one.metadata.name} {one.metadata.resource_version}" for one in items]

    whole = names((await core.list_namespaced_config_map(MANY)).items)
    paged, more, pages = [], {}, 0
    while pages == 0 or more.get("_continue"):
        page = await core.list_namespaced_config_map(MANY, limit=500, **more)
        paged, more, pages = paged + names(page.items), {"_continue": page.metadata._continue}, pages + 1
    return {"count": len(whole), "pages": pages, "whole": digest(whole), "paged": digest(paged)}


async def watched(core, _):
    name = f"{NAME}-watch"
    await core.create_namespaced_config_map(SPACE, config_map(name, a="1"))
    seen = []
    async with watch.Watch() as watching:
        async for event in watching.stream(
            core.list_namespaced_config_map, SPACE, label_selector=f"by={name}", timeout_seconds=20
        ):
            seen.append([event["type"], event["object"].data])
            if len(seen) == 1:
                await core.patch_namespaced_config_map(name, SPACE, {"data": {"a": "2"}})
            elif len(seen) == 2:
                await core.delete_namespaced_config_map(name, SPACE)
            else:
                break
    return {"events": seen}


async def apply(core, _):
    name = f"{NAME}-apply"

    def applied(manager, value, **more):
        body = config_map(name, a=value)
        return core.patch_namespaced_config_map(
            name, SPACE, body, field_manager=manager, _content_type=APPLY, **more
        )

    first = (await applied("one", "1")).data
    conflict = await refused(applied("two", "2"))
    last = await applied("two", "2", force=True)
    managers = [one.manager for one in last.metadata.managed_fields]
    return {"first": first, "conflict": conflict, "last": last.data, "managers": managers}


async def patch(core, _):
    name = f"{NAME}-patch"
    created = await core.create_namespaced_config_map(SPACE, config_map(name, a="1"))

    def call(kind, body):
        return core.patch_namespaced_config_map(name, SPACE, body, _content_type=kind)

    outcome = {
        "strategic": (await call(STRATEGIC, {"data": {"b": "2"}})).data,
        "merge": (await call(MERGE, {"data": {"c": "3", "a": None}})).data,
        "json": (await call(JSON, [{"op": "add", "path": "/data/d", "value": "4"}])).data,
        "refused": await refused(call(JSON, [{"op": "test", "path": "/data/d", "value": "5"}])),
    }
    return outcome | {"stale": await refused(core.replace_namespaced_config_map(name, SPACE, created))}


async def delete(core, _):
    name = f"{NAME}-delete"
    await core.create_namespaced_config_map(SPACE, config_map(name, a="1"))
    await core.delete_namespaced_config_map(name, SPACE)
    return {"again": await refused(core.delete_namespaced_config_map(name, SPACE))}


async def scale(_, apps):
    asked = await apps.patch_namespaced_deployment_scale("d", SPACE, {"spec": {"replicas": 2}})
    found = await apps.read_namespaced_deployment("d", SPACE)
    await apps.patch_namespaced_deployment_scale("d", SPACE, {"spec": {"replicas": 1}})
    return {"asked": asked.spec.replicas, "found": found.spec.replicas}


async def rollout(_, apps):
    """Waits as `kubectl rollout status` does."""
    patch = {"spec": {"template": {"metadata": {"annotations": {"by": NAME}}}}}
    asked = (await apps.patch_namespaced_deployment("r", SPACE, patch)).metadata.generation
    async with watch.Watch() as watching:
        async for event in watching.stream(
            apps.list_namespaced_deployment, SPACE, field_selector="metadata.name=r", timeout_seconds=30
        ):
            status = event["object"].status
            counts = [status.replicas, status.updated_replicas, status.available_replicas]
            if status.observed_generation >= asked and counts == [1, 1, 1]:
                return {"counts": counts}
    return {"counts": None}


async def logs(core, _):
    return {
        "text": await core.read_namespaced_pod_log(POD, SPACE),
        "refused": await refused(core.read_namespaced_pod_log(POD, SPACE, previous=True)),
        "none": await refused(core.read_namespaced_pod_log(POD, SPACE, container="none")),
    }


async def attach(core, _):
    """Follows the log meanwhile, until the container ends because the client leaves."""
    name = f"{NAME}-attach"
    await core.create_namespaced_pod(SPACE, attachable(name))
    async with watch.Watch() as watching:
        async for event in watching.stream(
            core.list_namespaced_pod, SPACE, field_selector=f"metadata.name={name}", timeout_seconds=30
        ):
            if event["object"].status.phase == "Running":
                break
    log = await core.read_namespaced_pod_log(name, SPACE, follow=True, _preload_content=False)
    async with WsApiClient() as client:
        connecting = await CoreV1Api(client).connect_get_namespaced_pod_attach(
            name, SPACE, stdin=True, stdout=True, stderr=True, tty=False, _preload_content=False
        )
        async with connecting as call:
            await call.send_bytes(b"\0one\n")
            attached = b""
            while b"\n" not in attached:
                attached += (await call.receive_bytes())[1:]
    return {"attached": attached.decode().strip(), "followed": (await log.content.read()).decode()}


async def run(client, command, given="", **streams):
    """Returns stdout, stderr and the exit code of a command; `client` is a WsApiClient."""
    wanted = {"stdin": bool(given), "stdout": True, "stderr": True, "tty": False} | streams
    connecting = await CoreV1Api(client).connect_get_namespaced_pod_exec(
        POD, SPACE, command=command, _preload_content=False, **wanted
    )
    found = {1: [], 2: [], 3: []}
    async with connecting as call:
        for at in range(0, len(given), 65536):
            await call.send_bytes(b"\0" + given[at : at + 65536].encode())
        async for message in call:
            found[message.data[0]].append(message.data[1:])
    out, err, status = (b"".join(parts) for parts in found.values())
    return [out.decode(), err.decode(), client.parse_error_data(status)]


async def execute(*_):
    async with WsApiClient() as client:
        combinations = {
            "stdout": await run(client, script(3), stderr=False),
            "stderr": await run(client, script(3), stdout=False),
            "stdout+stderr": await run(client, script(3)),
            "stdin+stdout": await run(client, INPUT, "given\n", stderr=False),
            "stdin+stderr": await run(client, INPUT, "given\n", stdout=False),
            "stdin+stdout+stderr": await run(client, INPUT, "given\n"),
            "terminal": await run(client, TERMINAL, "given\n", tty=True, stderr=False),
        }
        ends = await asyncio.gather(*(run(client, script(code)) for code in CODES))
        killed = await run(client, ["sh", "-c", "kill -9 $$"])
    codes = {code: end[2] for code, end in zip(CODES, ends, strict=True)}
    return {"streams": combinations, "codes": codes, "killed": killed}


async def bulk(*_):
    async with WsApiClient() as client:
        there = await run(client, ["sh", "-c", f"head -c {SIZE} | md5sum"], LINES)
        out, _, code = await run(client, ["sh", "-c", f"yes | head -c {SIZE}"])
    return {"there": there, "back": [len(out), digest(out.splitlines()), code]}


async def top(core, _):
    try:
        await CustomObjectsApi(core.api_client).list_cluster_custom_object(
            "metrics.k8s.io", "v1beta1", "pods"
        )
    except ApiException as error:
        return {"status": error.status, "body": error.body}
    return json.dumps("there are metrics")


ACTIONS = {
    "get": get, "missing": missing, "list": long_list, "watch": watched, "apply": apply, "patch": patch, "delete": delete,
    "scale": scale, "rollout": rollout, "logs": logs, "attach": attach, "exec": execute, "bulk": bulk, "top": top,
}  # fmt: skip
serve({name: with_client(action) for name, action in ACTIONS.items()})
