"""The stand-ins speak and act as incus 6.0 and kubectl 1.36 do."""

import json
import re
import shlex

import pytest

TERMINAL = {"term_type": "xterm-256color", "term_size": (100, 30), "encoding": None}


async def run(ssh, line: str, **options):
    options = {"encoding": None} | options
    return await ssh.run(line, **options)


INCUS = [
    ("incus exec x -- true", 'Error: Failed to fetch instance "x" in project "default": Instance not found'),
    ("incus exec dap-stopped -T -- true", "Error: Instance is not running"),
    ("incus exec dap-frozen -T -- true", "Error: Instance is frozen"),
]
KUBECTL = [
    ("exec p -- true", 'Error from server (NotFound): pods "p" not found'),
    ("exec -n n web-0 -- true", 'Error from server (NotFound): namespaces "n" not found'),
    ("exec web-0 -c c -- true", "error: container c is not valid for pod web-0 out of: side, main"),
    ("exec deploy/x -- true", 'Error from server (NotFound): deployments.apps "x" not found'),
    ("exec web-0 --", "error: you must specify at least one command for the container"),
    ("exec -- true", "error: pod, type/name or --filename must be specified"),
    (
        "exec -z web-0 -- true",
        "Error: unknown shorthand flag: 'z' in -z\nSee 'kubectl exec --help' for usage.",
    ),
    ("attach web-0 -it", "error: Unable to use a TTY - container main did not allocate one"),
    ("get --raw /api/v1/namespaces/default/pods/p", 'Error from server (NotFound): pods "p" not found'),
    ("get --raw /apis/x", "Error from server (NotFound): the server could not find the requested resource"),
]
START = [
    ("foo", 'exec: "foo": executable file not found in $PATH'),
    ("/bin/foo", 'exec: "/bin/foo": stat /bin/foo: no such file or directory'),
    ("/tmp", 'exec: "/tmp": permission denied'),
]


async def test_what_incus_says_about_instances(ssh):
    for line, words in INCUS:
        result = await run(ssh, line)

        assert (result.stderr, result.exit_status) == (f"{words}\n".encode(), 1), line


async def test_what_kubectl_says_itself(ssh):
    for arguments, words in KUBECTL:
        result = await run(ssh, f"kubectl {arguments}")

        assert (result.stdout, result.stderr, result.exit_status) == (b"", f"{words}\n".encode(), 1)


async def test_what_the_runtime_says_about_a_command_that_cannot_start(ssh):
    for command, why in START:
        result = await run(ssh, f"kubectl exec web-0 -- {command}")

        words = re.sub('"[0-9a-f]{64}"', "ID", result.stderr.decode())
        assert words == (
            "error: Internal error occurred: Internal error occurred: error executing command in container: failed to exec "
            "in container: failed to start exec ID: OCI runtime exec failed: exec failed: unable to start container "
            f"process: {why}: unknown\n"
        )
        assert result.exit_status == 1


@pytest.mark.parametrize("terminal_options", [{}, TERMINAL])
async def test_the_exit_code_comes_with_kubectls_words(ssh, terminal_options):
    flag = "-it" if terminal_options else "-i"
    for code in (1, 3, 126, 127, 255):
        result = await run(ssh, f"kubectl exec {flag} web-0 -- sh -c 'exit {code}'", **terminal_options)

        text = result.stdout if terminal_options else result.stderr
        assert text.split(b"\r")[0].rstrip() == b"command terminated with exit code %d" % code
        assert result.exit_status == code


async def test_a_signal_is_128_and_its_number(ssh):
    result = await run(ssh, "kubectl exec web-0 -- sh -c 'kill -KILL $$'")

    assert (result.stderr, result.exit_status) == (b"command terminated with exit code 137\n", 137)


async def test_success_has_no_words(ssh):
    result = await run(ssh, "kubectl exec web-0 -- sh -c 'printf out; printf err >&2'")

    assert (result.stdout, result.stderr, result.exit_status) == (b"out", b"err", 0)


async def test_only_with_i_there_is_input(ssh):
    with_input, without = [
        await run(ssh, f"kubectl exec {flags} web-0 -- cat", input=b"line") for flags in ("-i", "-t")
    ]

    assert (with_input.stdout, without.stdout) == (b"line", b"")


async def test_a_terminal_needs_one_outside(ssh):
    result = await run(ssh, "kubectl exec -it web-0 -- tty", input=b"")

    words = b"Unable to use a TTY - input is not a terminal or the right kind of file\n"
    assert (result.stdout, result.stderr) == (
        b"not a tty\n",
        words + b"command terminated with exit code 1\n",
    )


async def test_flags_may_be_written_either_way(ssh):
    for flags in ("-nteam-a -c main -i -q", "--namespace=team-a --container=main --stdin=true -q=true"):
        result = await run(ssh, f"kubectl --context demo exec web-0 {flags} -- pwd")

        assert result.stdout.endswith(b"/pods/team-a/web-0/main\n"), flags


async def test_each_container_has_a_directory_of_its_own(ssh):
    line = 'cd && touch here && echo "$PWD $HOME $HOSTNAME $PS1"'
    first = await run(ssh, f"kubectl exec web-0 -- sh -c {shlex.quote(line)}")
    second = await run(ssh, "kubectl exec web-0 -c side -- sh -c 'pwd; ls'")
    directory = second.stdout.decode().strip().replace("/side", "/main")

    assert first.stdout.decode() == f"{directory} {directory} web-0 web-0:demo$ \n"
    assert second.stdout.count(b"\n") == 1


async def test_names_other_than_pods_lead_to_one(ssh):
    for reference in ("pod/web-0", "svc/web", "sts/web"):
        assert (await run(ssh, f"kubectl exec {reference} -- printenv HOSTNAME")).stdout == b"web-0\n"
    assert (await run(ssh, "kubectl exec deploy/api -- printenv HOSTNAME")).stdout.startswith(b"api-")


async def test_a_login_shell_still_finds_the_stand_ins(ssh):
    result = await run(ssh, "incus exec dap-demo -T --env X=1 -- bash -lc 'command -v kubectl; echo $X'")

    assert result.stdout.endswith(b"/bin/kubectl\n1\n")
    assert b"/dap-demo-" in result.stdout


async def test_the_clusters_api_answers_as_far_as_a_gateway_asks(ssh):
    async def raw(path: str) -> bytes:
        return (await run(ssh, f"kubectl get --raw {path}")).stdout

    pod = json.loads(await raw("/api/v1/namespaces/default/pods/web-0"))
    pods = json.loads(await raw("'/api/v1/namespaces/team-a/pods?limit=500'"))

    assert await raw("/readyz") == b"ok"
    assert json.loads(await raw("/version"))["major"] == "1"
    assert [container["name"] for container in pod["spec"]["containers"]] == ["side", "main"]
    assert pod["metadata"]["annotations"]["kubectl.kubernetes.io/default-container"] == "main"
    assert (pods["kind"], [pod["metadata"]["name"] for pod in pods["items"]]) == ("PodList", ["web-0"])


async def test_get_pods_is_a_table(ssh):
    result = await run(ssh, "kubectl get pods -n team-a")

    assert (
        result.stdout
        == b"NAME    READY   STATUS    RESTARTS   AGE\nweb-0   1/1     Running   0          1d\n"
    )
