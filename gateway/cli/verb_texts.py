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

CP = """\
Copy files and directories from and to pods.

One of the two is POD:PATH, where POD may be deploy/api, svc/web, …; the other is a path of this machine (one with a colon as ./a:b). A directory that there is already gets the copy inside, as with cp -r. Modes, times, links and holes are kept.

\b
dap cp web-0:/var/log ./log
dap cp ./x deploy/api:/tmp
dap cp dump.sql db-0:/tmp -c postgres

A file gets its name once it is whole: length and SHA-256 are compared, and it is said where the image cannot tell the SHA-256. After a lost hop the copy goes on within the file. What leads out of the copied directory is not copied, and named; so is what changes again and again meanwhile. Exit status: 0 all was copied, 1 something was not, 125 a hop failed.
"""

PODS = """\
List a cluster's pods, as kubectl get pods does.

\b
dap pods
dap pods -n shop -l app=web
dap pods -A --wide
"""
