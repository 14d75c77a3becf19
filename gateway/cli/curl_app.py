"""Declares `dap curl`, as app.py does all other commands."""

from typing import Any

import click

from gateway.cli import options

_HELP = """\
Make an HTTP request from the cluster's runner, with curl's options and exit codes. The runner needs no curl.

URL is one that the runner reaches, for who may run commands there; or svc/NAME[:PORT]/PATH or pod/NAME[:PORT]/PATH, a service or a pod through the cluster's API.

\b
dap curl svc/web/healthz
dap curl -i http://10.43.0.7:8080/
dap curl -f -d @order.json -H 'Content-Type: application/json' https://orders.internal/new
dap curl -o dump.tar https://10.0.0.5/dump.tar --cacert internal-ca.pem

Names are looked up in the runner; TLS is checked here, with this machine's authorities. 125: a hop on the way failed.
"""


@click.command("curl", help=_HELP)
@click.argument("url", metavar="URL")
@click.option(
    "-X", "--request", "method", metavar="METHOD", default="", help="Default: GET, or POST with -d."
)
@click.option(
    "-H",
    "--header",
    "headers",
    metavar="LINE",
    multiple=True,
    help="As in 'Name: value'; 'Name:' takes ours away.",
)
@click.option(
    "-d",
    "--data",
    "data",
    metavar="DATA",
    multiple=True,
    help="Send DATA as a form; @FILE: without its line ends.",
)
@click.option(
    "--data-binary", metavar="DATA", help="Send DATA as it is; @FILE: a file, as it is read, @-: stdin."
)
@click.option("-T", "--upload-file", "upload", metavar="FILE", help="PUT the file; -: stdin.")
@click.option("-o", "--output", metavar="FILE", default="-", help="Write the body there; default: stdout.")
@click.option("-i", "--include", is_flag=True, help="Write the answer's headers before its body.")
@click.option("-I", "--head", is_flag=True, help="Ask for the headers alone.")
@click.option("-f", "--fail", is_flag=True, help="No body and exit code 22 for a status of 400 or more.")
@click.option("-L", "--location", "follow", is_flag=True, help="Follow redirects.")
@click.option(
    "-u",
    "--user",
    metavar="NAME:PASSWORD",
    default="",
    help="Basic authentication; asks for a password that is left out.",
)
@click.option("-k", "--insecure", is_flag=True, help="Trust any certificate.")
@click.option(
    "--cacert", metavar="FILE", default="", help="Trust these authorities in place of the system's."
)
@click.option(
    "--resolve",
    metavar="HOST:PORT:ADDRESS",
    multiple=True,
    help="Where HOST:PORT is, in place of what the runner finds.",
)
@click.option(
    "-m",
    "--max-time",
    "seconds",
    metavar="SECONDS",
    type=click.FloatRange(min=0),
    default=0,
    help="For all of it; 0: no limit.",
)
@click.option("-s", "--silent", "silent", is_flag=True, help="Print no errors.")
@click.option("-S", "--show-error", "shown", is_flag=True, help="Print errors all the same, with -s.")
@options.namespace
@options.cluster
def curl_(**given: Any) -> int:
    from gateway.cli.commands import curl

    return curl.run(curl.Options(**given))
