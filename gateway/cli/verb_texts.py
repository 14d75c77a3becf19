"""Holds the help texts of verbs_app.py, as help_texts.py does all others."""

LOGS = """\
The logs of pods.

TARGET is a pod, or what leads to pods: deploy/api, svc/web, job/migrate. Of each pod the default container's log, or that of -c. Lines of several pods have the pod's name before them, and come in the order of their times.

\b
dap logs web-0
dap logs -f deploy/api svc/web
dap logs -f -l app=api --since 10m
dap logs web-0 -p -f                the run before this one, and what came after it
dap logs deploy/api -- make e2e     while a command runs here; its exit status

With -f pods that join are read too, and neither a lost hop nor a restart of the container nor a rotation of its log leaves out a line or brings one twice; what the cluster no longer has is told. It ends with the pods that were named, or with the job; where others may join, with Ctrl-C.
"""

PODS = """\
List a cluster's pods, as kubectl get pods does.

\b
dap pods
dap pods -n shop -l app=web
dap pods -A --wide
"""
