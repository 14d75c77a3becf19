"""Tells why kubectl in the runner has no credentials, in the words of the credential plugin that it runs.

A plugin (aws, gke-gcloud-auth-plugin, kubelogin) writes to kubectl's stderr what its user has to do; kubectl itself says
only that the plugin failed.
"""

import re

from gateway.protocol.outcome import Outcome

_WHY = re.compile(r"(?:getting credentials|exec plugin): (?P<why>[^\n]*)")
_KLOG = re.compile(r"[EWIF]\d{4} \d\d:\d\d:\d\d")
# Keys that end a kubectl whose terminal shows nothing: Ctrl-C, Ctrl-\, and what ends ssh. relay/kubectl_start.py has the
# same, and is for Linux alone; a test holds the two together
INTERRUPT = re.compile(rb"[\x03\x1c]|(?:^|\r)~\.")
_LINES, _LETTERS = 6, 600  # of a plugin's words in a message: the last


def refused(words: bytes) -> Outcome | None:
    """Returns the outcome of a kubectl that got no credentials; None where `words`, what it and its plugin wrote to
    stderr, say nothing of the kind.
    """
    why = _WHY.search(words.decode("utf-8", "replace"))
    return no_credentials(why["why"].strip(), words) if why else None


def no_credentials(why: str, words: bytes) -> Outcome:
    """Returns the outcome runner_credentials: a plugin's `words`, each line once, then `why` in brackets."""
    lines = [line.strip() for line in words.decode("utf-8", "replace").splitlines()]
    said = dict.fromkeys(line for line in lines if line and not _KLOG.match(line) and not _WHY.search(line))
    text = " ".join(list(said)[-_LINES:])[-_LETTERS:]
    return Outcome("runner_credentials", f"{text} ({why})" if text else why)
