"""Python's `kr8s`: the table's actions. Its exec takes no input and its patches are of two types; attach it has none."""

import asyncio

import kr8s
from kr8s.asyncio.objects import ConfigMap, Deployment, Pod
from talk import CODES, MANY, NAME, POD, SIZE, SPACE, config_map, digest, refusal, script, serve


async def refused(call):
    """Returns what the API server says against a call."""
    try:
        await call
    except kr8s.ServerError as error:
        return refusal(error.response.status_code, error.response.text)
    raise AssertionError("not refused")


async def made(name, **data):
    """Returns a new ConfigMap."""
    one = await ConfigMap(config_map(name, **data), namespace=SPACE)
    await one.create()
    return one


async def get():
    pod = await Pod.get("bash-0", namespace="default")
    api = await kr8s.asyncio.api()
    return {
        "name": pod.name,
        "uid": pod.metadata.uid,
        "spec": pod.spec.to_dict(),
        "version": await api.version(),
    }


async def missing():
    pod = await Pod({"metadata": {"name": "nope"}}, namespace="default")
    api = await kr8s.asyncio.api()

    async def asked():
        async with api.call_api("GET", url=f"pods/{pod.name}", namespace="default"):
            pass

    return await refused(asked())


async def long_list():
    """It reads in pages of its own, of 100."""
    names = [
        f"{one.name} {one.metadata.resourceVersion}"
        async for one in kr8s.asyncio.get("configmaps", namespace=MANY)
    ]
    return {"count": len(names), "pages": 50, "whole": digest(names), "paged": digest(names)}


async def watch():
    name = f"{NAME}-watch"
    one = await made(name, a="1")
    seen = []
    async for kind, found in kr8s.asyncio.watch("configmaps", namespace=SPACE, label_selector=f"by={name}"):
        seen.append([kind, dict(found.raw.data)])
        if len(seen) == 1:
            await one.patch({"data": {"a": "2"}})
        elif len(seen) == 2:
            await one.delete()
        else:
            break
    return {"events": seen}


async def patch():
    one = await made(f"{NAME}-patch", a="1")
    outcome = {}
    await one.patch({"data": {"b": "2"}})
    outcome["first"] = dict(one.data)
    await one.patch({"data": {"c": "3", "a": None}})
    outcome["merge"] = dict(one.data)
    await one.patch([{"op": "add", "path": "/data/d", "value": "4"}], type="json")
    outcome["json"] = dict(one.data)
    outcome["refused"] = await refused(
        one.patch([{"op": "test", "path": "/data/d", "value": "5"}], type="json")
    )
    return outcome


async def delete():
    one = await made(f"{NAME}-delete", a="1")
    await one.delete()
    api = await kr8s.asyncio.api()

    async def again():
        async with api.call_api("DELETE", url=f"configmaps/{one.name}", namespace=SPACE):
            pass

    return {"exists": await one.exists(), "again": await refused(again())}


async def scale():
    deployment = await Deployment.get("d", namespace=SPACE)
    await deployment.scale(2)
    found = (await Deployment.get("d", namespace=SPACE)).replicas
    asked = deployment.replicas
    await deployment.scale(1)
    return {"asked": asked, "found": found}


async def rollout():
    deployment = await Deployment.get("r", namespace=SPACE)
    await deployment.patch({"spec": {"template": {"metadata": {"annotations": {"by": NAME}}}}})
    asked = deployment.metadata.generation
    async for _, found in kr8s.asyncio.watch(
        "deployments", namespace=SPACE, field_selector="metadata.name=r"
    ):
        status = found.status
        counts = [status.get(name) for name in ("replicas", "updatedReplicas", "availableReplicas")]
        if status.observedGeneration >= asked and counts == [1, 1, 1]:
            return {"counts": counts}
    return {"counts": None}


async def logs():
    pod = await Pod.get(POD, namespace=SPACE)
    text = [line async for line in pod.logs()]

    async def refusing(**more):
        async for _ in pod.logs(**more):
            pass

    followed = []
    async for line in pod.logs(follow=True):
        followed.append(line)
        if line == f"by {NAME}":
            break
        await pod.exec(["sh", "-c", f"echo by {NAME} >/proc/1/fd/1"])
    return {
        "text": f"{text[0]}\n",
        "followed": followed[-1] == f"by {NAME}",
        "refused": await refused(refusing(previous=True)),
        "none": await refused(refusing(container="none")),
    }


async def execute():
    pod = await Pod.get(POD, namespace=SPACE)

    async def run(command, **more):
        done = await pod.exec(command, check=False, **more)
        return [done.stdout.decode(), done.stderr.decode(), done.returncode]

    both = await run(script(3))
    ends = await asyncio.gather(*(run(script(code)) for code in CODES))
    codes = {code: end[2] for code, end in zip(CODES, ends, strict=True)}
    killed = await run(["sh", "-c", "kill -9 $$"])
    try:
        await run(["cat"], stdin="given")
    except Exception as error:  # noqa: BLE001 - what the client says is the outcome
        given = repr(error)
    return {"streams": {"stdout+stderr": both}, "codes": codes, "killed": killed, "input": given}


async def bulk():
    pod = await Pod.get(POD, namespace=SPACE)
    done = await pod.exec(["sh", "-c", f"yes | head -c {SIZE}"])
    return {"back": [len(done.stdout), digest(done.stdout.decode().splitlines()), done.returncode]}


async def port_forward():
    """Twenty at once through one listener, and a port on which nothing listens."""

    async def fetch(port):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET /f HTTP/1.0\r\n\r\n")
        data = b""
        while b"served" not in data and (part := await reader.read(4096)):
            data += part
        writer.close()
        words = data.decode().split()
        return [words[1], words[-1]] if words else []

    pod = await Pod.get(POD, namespace=SPACE)
    async with pod.portforward(remote_port=8080, local_port="auto") as port:
        answers = await asyncio.gather(*(fetch(port) for _ in range(20)))
    return {"answers": answers}


async def top():
    api = await kr8s.asyncio.api()
    async with api.call_api(
        "GET", version="metrics.k8s.io/v1beta1", url="pods", raise_for_status=False
    ) as answer:
        return {"status": answer.status_code, "body": answer.text}


serve({
    "get": get, "missing": missing, "list": long_list, "watch": watch, "patch": patch, "delete": delete, "scale": scale,
    "rollout": rollout, "logs": logs, "exec": execute, "bulk": bulk, "port-forward": port_forward, "top": top,
})  # fmt: skip
