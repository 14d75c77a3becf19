"""Does `dap exec --verify`: proves that the exit code is the command's, and that all of its output has arrived.

On its way from the pod the end of an output can be lost, and the exit code come out as 0 all the same (the API server's
leg to the kubelet). So the command runs under a small script in the container's sh: it counts what the command writes
to stdout, and ends stderr with a line that carries a secret of this run, the exit code and the count. `Verification`
takes that line out of stderr and compares. The script needs sh, tee and wc; everything else stays as it is:

- stdin goes to the command, its stderr is its own, its stdout passes through `tee`, unchanged.
- `exec` in a subshell, so that only programs are run, and none of the shell's own commands; what the shell itself says
  of it when it is killed (`Killed`) goes nowhere.
- the pipe is `tee`'s second file, not stdout: stdout may belong to another user (/dev/stdout of a container often does).
- it ends when all that holds the command's stdout has ended, as kubectl exec does.
"""

import re
import secrets
from dataclasses import replace

from gateway.client.exit_status import End
from gateway.protocol.messages import Stream
from gateway.protocol.outcome import CODES

SCRIPT = """\
key=$1; shift
for tool in tee wc; do
  command -v $tool >/dev/null 2>&1 || { echo "$key needs $tool" >&2; exit 126; }
done
exec 3>&1 6>&2
said=$(
  exec 5>&1
  { (exec 2>&6 3>&- 5>&- 6>&-; exec "$@"); echo $? >&5; } 2>/dev/null |
    tee /dev/fd/4 4>&1 >&3 3>&- 5>&- 6>&- | wc -c 3>&- 5>&- 6>&-
)
set -- $said
echo "$key $1 $2" >&2
exit $1
"""
_KEY_BYTES = 16  # of the secret: no command prints it by chance, and none knows it


class Verification:
    """Proves the end of one run. `argv` is what to run instead of the command."""

    def __init__(self, argv: tuple[str, ...]) -> None:
        self._key = f"dap-end-{secrets.token_hex(_KEY_BYTES)}"
        self.argv = ("sh", "-c", SCRIPT, "sh", self._key, *argv)
        self._mark = re.compile(rb"%s (\d+) (\d+)\n|%s needs (\w+)\n" % ((self._key.encode(),) * 2))
        self._held = b""  # the end of stderr so far that may be a mark's beginning
        self._received = 0
        self._found: re.Match[bytes] | None = None

    def take(self, stream: int, data: bytes) -> bytes:
        """Returns what of the output is the command's and can be passed on; holds back the end of stderr
        while it may be a mark's beginning.
        """
        if stream != Stream.STDERR:
            self._received += len(data)
            return data
        if self._found:
            return data  # of something that the command left behind
        data = self._held + data
        self._found = self._mark.search(data)
        if self._found:
            self._held = b""
            return data[: self._found.start()] + data[self._found.end() :]
        keep = self._beginning(data)
        self._held = data[keep:]
        return data[:keep]

    def rest(self) -> bytes:
        """Returns what was held back of stderr; called at the end."""
        held, self._held = self._held, b""
        return held

    def judge(self, end: End) -> End:
        """Returns `end` unchanged when code and length are proved, or when it has no exit code; else an end
        that says what is wrong. A command that could not be started gets the hint that --verify needs sh.
        """
        if end.code == "start_failed":
            return replace(end, message=f"--verify needs sh in the container: {end.message}")
        if end.exit_code is None:
            return end
        if self._found is None:
            return _incomplete("the end mark of the command is missing")
        if self._found[3]:
            return End("start_failed", "pod", f"--verify needs {self._found[3].decode()} in the container")
        code, count = int(self._found[1]), int(self._found[2])
        if count != self._received:
            return _incomplete(f"the command wrote {count} bytes to stdout, {self._received} arrived")
        if code != end.exit_code:
            return _incomplete(f"the command ended with exit code {code}, {end.exit_code} arrived")
        return end

    def _beginning(self, data: bytes) -> int:
        """Returns where a mark may begin that is not whole yet; the length of `data` where none does."""
        key = self._key.encode()
        at = data.rfind(key)
        if at >= 0 and b"\n" not in data[at:]:
            return at
        for size in range(min(len(key), len(data)), 0, -1):
            if data.endswith(key[:size]):
                return len(data) - size
        return len(data)


def _incomplete(message: str) -> End:
    return End("output_incomplete", CODES["output_incomplete"].hop, message)
