"""Holds the help texts. A paragraph that begins with a backspace keeps its lines as they are."""

DAP = """\
Shells and commands in pods that your machine cannot reach, through SSH and Incus.

\b
dap serve --demo                try it: a gateway with a make-believe cluster
dap config init                 say where your management host is
dap doctor                      check every hop on the way
dap shell web-0                 a shell in a pod
dap exec web-0 -- ls -l /       one command
"""

SERVE = """\
Run the gateway until Ctrl-C or SIGTERM. Prints a browser link on a terminal once it is ready; dap open prints one anywhere.

\b
dap serve                         on localhost:8080, and for other commands
dap serve --listen localhost:9000
dap serve --demo                  no cluster: commands run on this machine
"""

SHELL = """\
A terminal in a pod.

Runs bash if the container has it, else sh, or the command after --.

\b
dap shell web-0
dap shell web-0 -n shop -c nginx
dap shell deploy/api                any pod of a deployment
dap shell web-0 -- python3          another program

When the connection is lost the session waits in the gateway and the shell goes on where it was, for as long as the window's title says. What you type meanwhile is kept. Ctrl-C, or Enter and ~. as in ssh, gives up; dap attach goes on later, or from elsewhere. A gateway inside dap itself keeps the session for a lost hop only, and the plain chain keeps none.

Ctrl-C, Ctrl-Z and Ctrl-\\ drop a flood of output that waits; --exact, or naming a command, keeps every byte.

When the shell ends, what it started in the pod is hung up too; nohup and setsid keep a job.
"""

ATTACH = """\
Attach to a session and go on with it here.

Takes the session over from wherever it is open, and tells the client that had it. Without SESSION: the only session that can be resumed.

\b
dap attach
dap attach 5e55104e5e55104e
"""

SESSIONS = """\
List the sessions of the running gateway.

Lists your own; for the operator of the gateway, all. CLIENT says whether a client is attached, or the session waits for its client.

\b
dap sessions
dap sessions --json
"""

KILL = """\
End a session.

\b
dap kill 5e55104e5e55104e --reason "the pod is needed"
"""

EXEC = """\
Run one command in a pod.

Pipes work, byte for byte; stdout and stderr stay apart.

\b
dap exec web-0 -- ls -l /
dap exec web-0 -c nginx -- cat /etc/nginx/nginx.conf > nginx.conf
tar c . | dap exec web-0 -i -- tar x -C /tmp
dap exec web-0 -it -- top

--verify runs the command under a small sh script in the container, which counts what the command writes to stdout and sends the exit code again. Where these differ from what arrived, the exit status is 125 (output_incomplete).
"""

RUN = """\
Run a command in the runner itself.

The runner is the Incus instance that reaches the cluster.

\b
dap run -- kubectl get pods -A
dap run -it -- bash
"""

PROBE = """\
Prove that a pod can be used, for CI and monitoring.

Opens a session, has the pod echo and compute, resizes, ends. One PASS or FAIL line a step. Exit status: 0 all passed, 1 a check failed, 125 a hop failed.

\b
dap probe web-0
dap probe deploy/api -n shop --json
"""

OPEN = """\
Print a fresh browser link to the running gateway.

The link works once, within five minutes. Whoever opens it is you, with your sessions; with --for NAME it is for somebody else, who sees only their own, and with a pod opens that pod and nothing else.

\b
dap open
dap open web-0 --for ann          to give away: this pod alone
dap open --for ann                to give away: any pod
dap open web-0 -n shop
dap open default/shop/web-0/nginx
dap open deploy/api               any pod of a deployment
"""

PORT_FORWARD = """\
Forward ports of this machine to pods.

TARGET is a pod, or what leads to one: deploy/api, svc/web (its ports are the service's). A word with a slash begins another target. REMOTE is a number or a port's name; LOCAL is the same number unless it is named, and 0 is any free one. When the pod, a hop or the gateway goes, the port stays, and leads to the next pod as soon as there is one. Runs until Ctrl-C.

\b
dap port-forward web-0 8080:80
dap port-forward svc/web http deploy/api 9000 9001
"""

TOKENS = """\
List, create and revoke credentials of machines.

A pipeline or a program has a token of its own: it has a name, which the log, the list of sessions and the cluster see, and may be bound to clusters, namespaces and verbs. The gateway keeps a hash alone. What a token has opened ends with it.

\b
dap tokens
dap tokens create ci --namespace staging --verbs get,list,exec --expires 12h
dap tokens revoke ci
"""

TOKENS_CREATE = """\
Make a token for a machine, and print it: it is shown once.

Verbs are those of Kubernetes' roles (get, list, watch, create, update, patch, delete, deletecollection) and exec, attach, portforward, proxy, whatever the client. kubectl reads a pod (get) before it enters one. Only who runs the gateway makes tokens.

\b
DAP_GATEWAY_TOKEN=$(dap tokens create ci --verbs get,exec)
"""

ACCESS = """\
List who may come in by a browser link, or take that away.

Lists links that nobody has opened yet (ticket), tabs that are signed in (page), and tokens of machines and of kubectl (machine, short), with the address and browser that they were used from last. Lists your own; for the operator of the gateway, all. What a revoked tab had opened ends.

\b
dap access
dap access --json
dap access revoke 1f5a09c3de
"""

KUBECONFIG = """\
Have kubectl use the running gateway.

Writes a kubeconfig with a context for each cluster of the gateway, and prints the line that has this shell use it. Its credential is dap token.

\b
eval "$(dap kubeconfig)"
dap kubeconfig --merge            into the first file of KUBECONFIG, or ~/.kube/config
dap kubeconfig --raw > gateway.yaml

--merge replaces the entries that it has merged before and leaves everything else as it is written, comments too. The current context changes only where there is none, or where it is one of these. A file that cannot be merged stays as it was; then the exit status is 2.
"""

SHORT_CREDENTIAL = """\
Print a short-lived token, as kubectl asks for one.

The kubeconfig of dap kubeconfig names this command. The token is good for ten minutes, and dap access lists it; it is printed again until a minute before its end.
"""

WITH = """\
Run a command that has kubectl's way to the cluster.

Runs it with a KUBECONFIG of its own, which is gone afterwards: for the running gateway, or for one that lives as long as the command. Signals are passed on, and the exit status is the command's; 126 and 127 where it cannot be started or is not there.

\b
dap with -- kubectl get pods
dap with -q -- helm upgrade api ./chart
dap with --cluster two -- sh -c 'kubectl apply -f . && kubectl rollout status deploy/api'
"""

KUBECTL = """\
Run kubectl at the cluster: dap with -- kubectl ARGS.

Where this machine has no kubectl, the runner's is run, by whoever may use dap run. What names files of this machine is refused then: pipe them, as in dap kubectl apply -f - < FILE.

\b
dap kubectl get pods -n shop
dap kubectl exec -it web-0 -- bash
"""

LOGIN = """\
Sign in to a gateway elsewhere.

Trades the link that dap open --for NAME printed there, which works once within five minutes, for a token, and keeps that 0600 in ~/.local/state/dap/logins. With the gateway's URL alone it asks for the link, or for a token, on the terminal. The token of a link lasts for 12 hours after its last use, 30 days at most.

\b
dap login 'https://dap.example.com/#ticket=…'
export DAP_GATEWAY_URL=https://dap.example.com

A link that begins with https may name the certificate of the gateway's own authority: it alone is then trusted there, now and later. DAP_GATEWAY_CA, a file, does the same for a gateway whose link has none.

Commands use the token where DAP_GATEWAY_URL names that gateway. Where that is not set, no gateway runs here and no cluster is configured here, they go to the one gateway that you are signed in to. DAP_GATEWAY_TOKEN wins over it.
"""

LOGOUT = """\
Sign out of a gateway elsewhere.

Revokes the token there, which ends what it has opened, and forgets it here. Without URL: the gateway of DAP_GATEWAY_URL, or the only one that you are signed in to. Exit status: 125 where the gateway does not answer, and the token is only forgotten.
"""

DOCTOR = """\
Check the settings and every hop in order.

Says what is wrong, and what to do about it. For a gateway elsewhere, set DAP_GATEWAY_URL.

Exit status: 0 all well, 1 something on this machine is wrong, 125 a hop failed.
"""

CONFIG_INIT = """\
Write config.toml.

Writes what you name, and every other setting as a comment. Asks for what is missing when it runs on a terminal.

\b
dap config init --ssh-host ops@mgmt.example.com --vm dap-runner
"""

EXIT_STATUS = """\
Exit status: the command's own; 125 when a hop on the way failed (the message names it), 126 and 127 when the container could not start the command, 130 after Ctrl-C, 2 for wrong usage.
"""
