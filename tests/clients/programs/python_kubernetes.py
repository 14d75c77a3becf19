"""Python's `kubernetes`: the table's actions."""

import contextlib
import itertools
import threading
from concurrent.futures import ThreadPoolExecutor

import kubernetes
from kubernetes.client import ApiException
from kubernetes.stream import portforward, stream
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

API = kubernetes.config.new_client_from_config()
CORE = kubernetes.client.CoreV1Api(API)
APPS = kubernetes.client.AppsV1Api(API)
STRATEGIC, MERGE, JSON, APPLY = (
    f"application/{kind}"
    for kind in ("strategic-merge-patch+json", "merge-patch+json", "json-patch+json", "apply-patch+yaml")
)


def refused(call, *arguments, **more):
    """Returns what the API server says against a call."""
    try:
        call(*arguments, **more)
    except ApiException as error:
        return refusal(error.status, error.body)
    raise AssertionError(f"{call.__name__} was not refused")


def get():
    pod = CORE.read_namespaced_pod("bash-0", "default")
    return {
        "name": pod.metadata.name, "uid": pod.metadata.uid, "spec": pod.spec.to_dict(),
        "version": kubernetes.client.VersionApi(API).get_code().to_dict(),
    }  # fmt: skip


def missing():
    return refused(CORE.read_namespaced_pod, "nope", "default")


def long_list():
    def names(items):
        return [f"{one.metadata.name} {one.metadata.resource_version}" for one in items]

    whole = names(CORE.list_namespaced_config_map(MANY).items)
    paged, token, pages = [], None, 0
    while pages == 0 or token:
        page = CORE.list_namespaced_config_map(MANY, limit=500, _continue=token)
        paged, token, pages = paged + names(page.items), page.metadata._continue, pages + 1
    return {"count": len(whole), "pages": pages, "whole": digest(whole), "paged": digest(paged)}


def watch():
    name = f"{NAME}-watch"
    created = CORE.create_namespaced_config_map(SPACE, config_map(name, a="1"))
    seen = []
    watching = kubernetes.watch.Watch()
    for event in watching.stream(
        CORE.list_namespaced_config_map, SPACE, label_selector=f"by={name}", timeout_seconds=20
    ):
        seen.append([event["type"], event["object"].data])
        if len(seen) == 1:
            CORE.patch_namespaced_config_map(name, SPACE, {"data": {"a": "2"}})
        elif len(seen) == 2:
            CORE.delete_namespaced_config_map(name, SPACE)
        else:
            watching.stop()
    late = []
    for event in watching.stream(
        CORE.list_namespaced_config_map, SPACE, label_selector=f"by={name}", timeout_seconds=20,
        resource_version=created.metadata.resource_version,
    ):  # fmt: skip
        late.append([event["type"], event["object"].data])
        if event["type"] == "DELETED":
            watching.stop()
    return {"events": seen, "late": late}


def apply():
    name = f"{NAME}-apply"

    def applied(manager, value, **more):
        body = config_map(name, a=value)
        return CORE.patch_namespaced_config_map(
            name, SPACE, body, field_manager=manager, _content_type=APPLY, **more
        )

    first = applied("one", "1").data
    conflict = refused(applied, "two", "2")
    last = applied("two", "2", force=True)
    managers = [one.manager for one in last.metadata.managed_fields]
    return {"first": first, "conflict": conflict, "last": last.data, "managers": managers}


def patch():
    name = f"{NAME}-patch"
    created = CORE.create_namespaced_config_map(SPACE, config_map(name, a="1"))

    def patched(kind, body):
        return CORE.patch_namespaced_config_map(name, SPACE, body, _content_type=kind).data

    outcome = {
        "strategic": patched(STRATEGIC, {"data": {"b": "2"}}),
        "merge": patched(MERGE, {"data": {"c": "3", "a": None}}),
        "json": patched(JSON, [{"op": "add", "path": "/data/d", "value": "4"}]),
        "refused": refused(patched, JSON, [{"op": "test", "path": "/data/d", "value": "5"}]),
    }
    latest = CORE.read_namespaced_config_map(name, SPACE)
    latest.data["e"] = "5"
    outcome["replaced"] = CORE.replace_namespaced_config_map(name, SPACE, latest).data
    outcome["stale"] = refused(CORE.replace_namespaced_config_map, name, SPACE, created)
    return outcome


def delete():
    name = f"{NAME}-delete"
    CORE.create_namespaced_config_map(SPACE, config_map(name, a="1"))
    CORE.delete_namespaced_config_map(name, SPACE)
    return {"again": refused(CORE.delete_namespaced_config_map, name, SPACE)}


def scale():
    asked = APPS.patch_namespaced_deployment_scale("d", SPACE, {"spec": {"replicas": 2}}).spec.replicas
    found = APPS.read_namespaced_deployment("d", SPACE).spec.replicas
    APPS.patch_namespaced_deployment_scale("d", SPACE, {"spec": {"replicas": 1}})
    return {"asked": asked, "found": found}


def rollout():
    """Waits as `kubectl rollout status` does."""
    patch = {"spec": {"template": {"metadata": {"annotations": {"by": NAME}}}}}
    asked = APPS.patch_namespaced_deployment("r", SPACE, patch).metadata.generation
    watching = kubernetes.watch.Watch()
    for event in watching.stream(
        APPS.list_namespaced_deployment, SPACE, field_selector="metadata.name=r", timeout_seconds=30
    ):
        status = event["object"].status
        counts = [status.replicas, status.updated_replicas, status.available_replicas]
        if status.observed_generation >= asked and counts == [1, 1, 1]:
            watching.stop()
            return {"counts": counts}
    return {"counts": None}


def logs():
    return {
        "text": CORE.read_namespaced_pod_log(POD, SPACE),
        "refused": refused(CORE.read_namespaced_pod_log, POD, SPACE, previous=True),
        "none": refused(CORE.read_namespaced_pod_log, POD, SPACE, container="none"),
    }


def attach():
    """Follows the log meanwhile, until the container ends because the client leaves."""
    name = f"{NAME}-attach"
    CORE.create_namespaced_pod(SPACE, attachable(name))
    watching = kubernetes.watch.Watch()
    for event in watching.stream(
        CORE.list_namespaced_pod, SPACE, field_selector=f"metadata.name={name}", timeout_seconds=30
    ):
        if event["object"].status.phase == "Running":
            watching.stop()
    with ThreadPoolExecutor(1) as pool:
        log = CORE.read_namespaced_pod_log(name, SPACE, follow=True, _preload_content=False)
        following = pool.submit(lambda: b"".join(log.stream()))
        call = stream(
            CORE.connect_get_namespaced_pod_attach, name, SPACE,
            stdin=True, stdout=True, stderr=True, tty=False, _preload_content=False,
        )  # fmt: skip
        call.write_stdin("one\n")
        attached = call.readline_stdout(timeout=20)
        call.close()
        return {"attached": attached, "followed": following.result(30).decode()}


def run(command, given="", pod=POD, space=SPACE, **streams):
    """Returns stdout, stderr and the exit code of a command."""
    wanted = {"stdin": bool(given), "stdout": True, "stderr": True, "tty": False} | streams
    call = stream(
        CORE.connect_get_namespaced_pod_exec, pod, space, command=command, _preload_content=False, **wanted
    )
    if given:
        for at in range(0, len(given), 1 << 16):
            call.write_stdin(given[at : at + (1 << 16)])
        if not wanted[
            "tty"
        ]:  # a terminal's kubelet loses output at a half-close, straight at the API server, too
            call.close_channel(0)
    out = []
    while call.is_open():  # its run_forever joins each piece to all before
        call.update(timeout=30)
        out.append(call.read_channel(1))
    call.sock.shutdown()  # of an end that the server begins, it leaves its socket open
    return ["".join(out), call.read_channel(2), call.returncode]


def execute():
    combinations = {}
    for wanted in itertools.product((False, True), repeat=3):
        names = [name for name, on in zip(("stdin", "stdout", "stderr"), wanted, strict=True) if on]
        if names in ([], ["stdin"]):
            continue
        on = {name: name in names for name in ("stdout", "stderr")}
        given = "given\n" if "stdin" in names else ""
        combinations["+".join(names)] = run(INPUT if given else script(3), given, **on)
    combinations["terminal"] = run(TERMINAL, "given\n", tty=True, stderr=False)
    with ThreadPoolExecutor(4) as pool:
        codes = dict(zip(CODES, pool.map(lambda code: run(script(code))[2], CODES), strict=True))
    killed = run(["sh", "-c", "kill -9 $$"])
    try:
        run(["true"], pod="nope")
    except ApiException as error:
        refused = "404 Not Found" in error.reason and 'pods \\"nope\\" not found' in error.reason
    return {"streams": combinations, "codes": codes, "killed": killed, "refused": refused}


def bulk():
    """So much there, and as much back. Text, for the client decodes what it reads."""
    there = run(["sh", "-c", f"head -c {SIZE} | md5sum"], LINES)
    out, _, code = run(["sh", "-c", f"yes | head -c {SIZE}"])
    return {"there": there, "back": [len(out), digest(out.splitlines()), code]}


def port_forward():
    """Twenty at once, each with a WebSocket of its own, and a port on which nothing listens."""

    def fetch(_):
        forward = portforward(CORE.connect_get_namespaced_pod_portforward, POD, SPACE, ports="8080")
        with contextlib.closing(forward.socket(8080)) as end:
            end.setblocking(True)
            end.sendall(b"GET /f HTTP/1.0\r\n\r\n")
            data = b""
            while b"served" not in data:  # this form of the protocol says nothing of an end
                part = end.recv(4096)
                assert part, data
                data += part
            return data.decode().split()[1], data.decode().split()[-1]

    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(fetch, range(20)))
    closed = portforward(CORE.connect_get_namespaced_pod_portforward, POD, SPACE, ports="1")
    done = threading.Event()
    while closed.connected and closed.error(1) is None:
        done.wait(0.05)
    return {"answers": answers, "closed": closed.error(1)}


def top():
    custom = kubernetes.client.CustomObjectsApi(API)
    try:
        custom.list_cluster_custom_object("metrics.k8s.io", "v1beta1", "pods")
    except ApiException as error:
        return {"status": error.status, "body": error.body}
    raise AssertionError("there are metrics")


serve({
    "get": get, "missing": missing, "list": long_list, "watch": watch, "apply": apply, "patch": patch, "delete": delete,
    "scale": scale, "rollout": rollout, "logs": logs, "attach": attach, "exec": execute, "bulk": bulk,
    "port-forward": port_forward, "top": top,
})  # fmt: skip
