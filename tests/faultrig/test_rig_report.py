"""What rounds come to, in the table and as JSON."""

import json
from collections import Counter

from faultrig import report
from faultrig.parts import Played


def test_rounds_of_one_fault_are_one_line():
    good = Played("ssh-drop", "relay", "s/0", [0.5, 1.0], Counter({"ssh/ssh_lost": 2}))
    bad = Played("ssh-drop", "relay", "s/1", [2.0], Counter({"pod/exited 0": 1}), 1, 2, 7, ["a false 0"])
    lines = report.table([good, bad, Played("ssh-drop", "plain", "s/0")]).splitlines()

    assert len(lines) == 4
    assert lines[2] == (
        "| ssh-drop | relay | 2 | 1.0 s (≤ 2.0) | 2 ssh/ssh_lost, 1 pod/exited 0 | 1 (+2 of kubectl's kind) | 7 | 1 FAILED |"
    )
    assert lines[3].startswith("| ssh-drop | plain | 1 | - |")


def test_the_json_has_every_round_and_can_be_read_back():
    text = json.dumps(report.as_json([Played("ssh-drop", "relay", "s/0", outcomes=Counter(a=1))], "s", "now"))

    assert json.loads(text)["rounds"][0]["outcomes"] == {"a": 1}
