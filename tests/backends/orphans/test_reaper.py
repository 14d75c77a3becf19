"""When it is looked for what a session has left, how often, and what is counted: on a virtual clock."""

import asyncio
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest
from structlog.testing import capture_logs
from support.channel import OUT, Script, ScriptedBackend
from support.virtual_time import now, run

from gateway.backends.kube.kubectl import argv
from gateway.backends.orphans.reaper import ALL, AT_ONCE, PAUSES, Ended, Reaper
from gateway.errors import HopFailed
from gateway.protocol.outcome import Outcome, ended
from gateway.protocol.target import Command, Target
from gateway.settings.config import Limits

POD = Target("default", "ns", "p", "c")
SHELL = Command(stdin=True, tty=True, session="0a1b")
KILLED = Command(("sleep", "9"), stdout=True, kill_on_disconnect=True, session="0a1b")
THEIRS = Command(("sleep", "9"), stdout=True, session="0a1b")
FOUND = [(OUT, b"dap-leftovers 2 0 0 0\n"), ended(0)]
LOST = [Outcome("kubectl_killed")]


class Container:
    """What each look there comes to; the last for all that follow. `looks`: when, and with what arguments."""

    def __init__(self, *scripts) -> None:
        self._scripts = [list(script) for script in scripts]
        self.looks: list[tuple[float, Command]] = []
        self.at_once = self.most = 0

    @asynccontextmanager
    async def exec(self, target, command):
        self.looks.append((now(), command))
        self.at_once += 1
        self.most = max(self.most, self.at_once)
        script = self._scripts.pop(0) if len(self._scripts) > 1 else self._scripts[0]
        try:
            async with ScriptedBackend(Script(output=script)).exec(target, command) as channel:
                yield channel
        finally:
            self.at_once -= 1

    def held(self, command: Command, target: Target = POD) -> Ended:
        return Ended(target, command, self.exec)


def counted(story, **limits) -> dict[str, int]:
    """What stands in the counts when `story` is over and all looks are."""

    async def all_of_it():
        reaper = Reaper(Limits(**limits))
        async with reaper.running():
            await story(reaper)
        return dict(reaper.counts)

    return run(all_of_it())


def over(container: Container, command: Command, outcome: Outcome | None, target: Target = POD, **limits):
    async def story(reaper):
        reaper.over(container.held(command, target), outcome)

    return counted(story, **{"shutdown": 1000.0, **limits})


@pytest.mark.parametrize(
    "outcome", [None, ended(0), ended(130), Outcome("cluster_lost"), Outcome("ssh_lost")]
)
def test_a_shell_of_ours_is_looked_for_however_it_ended(outcome):
    container = Container(FOUND)

    assert over(container, SHELL, outcome) == {"reaped": 1}
    ((_, look),) = container.looks
    assert look.argv[-2] == "0a1b"
    assert not look.tracked


def test_who_ended_itself_is_not_waited_for():
    """Nothing of it can still be about to start."""
    itself, cut = Container(FOUND), Container(FOUND)
    over(itself, SHELL, ended(0))
    over(cut, SHELL, None)

    assert itself.looks[0][1].argv[-1] == "0"
    assert int(cut.looks[0][1].argv[-1]) > 0


@pytest.mark.parametrize("outcome", [None, Outcome("kubectl_killed"), Outcome("slow_client")])
def test_a_command_that_is_to_be_killed_is_looked_for_when_it_was_cut_off(outcome):
    assert over(Container(FOUND), KILLED, outcome) == {"reaped": 1}


@pytest.mark.parametrize(
    ("command", "outcome", "target"),
    [
        (KILLED, ended(3), POD),
        (KILLED, Outcome("start_failed"), POD),
        (SHELL, Outcome("pod_not_found"), POD),
        (SHELL, Outcome("forbidden"), POD),
        (THEIRS, ended(1), POD),
        (THEIRS, Outcome("start_failed"), POD),
        (Command(verb="attach", stdout=True), None, POD),
        (Command(("sh",), "run", stdout=True), None, Target("default")),
    ],
)
def test_nothing_is_looked_for_where_nothing_can_be(command, outcome, target):
    container = Container(FOUND)

    assert over(container, command, outcome, target) == {}
    assert container.looks == []


def test_a_clients_own_command_is_counted():
    container = Container(FOUND)

    assert over(container, THEIRS, None) == {"unknown": 1}
    assert container.looks == []


@pytest.mark.parametrize("command", [SHELL, KILLED])
def test_a_container_without_a_shell_is_said(command):
    container = Container(FOUND)
    with capture_logs() as logs:
        assert over(container, command, Outcome("no_shell", "neither")) == {"no_shell": 1}

    assert container.looks == []
    assert [(row["event"], row["session"]) for row in logs] == [("session_leftovers", "0a1b")]


@pytest.mark.parametrize(
    "lost", [LOST, [HopFailed("ssh_lost", "cut")], [1e6]], ids=["kubectl", "hop", "silence"]
)
def test_a_look_that_is_lost_is_tried_again(lost):
    container = Container(lost, FOUND)

    assert over(container, SHELL, None) == {"reaped": 1}
    assert len(container.looks) == 2


def test_it_gives_up_in_the_end():
    container = Container([1e6])
    with capture_logs() as logs:
        assert over(container, SHELL, None) == {"failed": 1}

    assert len(container.looks) > 1
    assert container.looks[-1][0] <= ALL
    assert [row["what"] for row in logs] == [["failed"]]


def test_what_is_gone_or_empty_is_not_tried_again():
    gone = Container([Outcome("container_not_running")])

    assert over(gone, SHELL, None) == {"gone": 1}
    assert len(gone.looks) == 1


def test_a_defect_is_no_sessions():
    with capture_logs() as logs:
        assert over(Container([RuntimeError("boom")]), SHELL, None) == {"failed": 1}

    assert "leftovers_defect" in [row["event"] for row in logs]


def test_a_few_at_a_time():
    container = Container([1.0, *FOUND])

    async def story(reaper):
        for number in range(50):
            reaper.over(container.held(Command(stdout=True, session=f"{number:04x}")), None)

    assert counted(story, shutdown=1000.0) == {"reaped": 50}
    assert container.most == AT_ONCE


def test_the_end_waits_for_them_and_not_for_ever():
    container = Container([4.0, *FOUND], [15.0, *FOUND])

    async def both():
        reaper = Reaper(Limits(shutdown=6.0))
        async with reaper.running():
            reaper.over(container.held(SHELL), None)
            reaper.over(container.held(SHELL), None)
            await asyncio.sleep(0)
        return dict(reaper.counts), now()

    assert run(both()) == ({"reaped": 1, "failed": 1}, 6.0)


# with a relay


def tells(code=0, out="dap-leftovers 1 1 0 0\n", words=""):
    return {"tag": "0a1b", "results": [{"code": code, "out": out, "words": words}]}


def there(container, command, *steps):
    """Steps: (`on_exit`, exit, outcome), (`on_report`, about), (`set_relay`, pid)."""

    async def story(reaper):
        one = container.held(command)
        request = reaper.request(
            one, lambda target, look: argv(target, look, ("kubectl", "--context", "prod"))
        )
        assert bool(request) == command.tracked
        assert request.get("after_if") == ("ended" if command.tracked and command.argv else None)
        reaper.register_remote(one, 7)
        for name, *given in steps:
            getattr(reaper, name)(*([one] if name == "on_exit" else []), *given)

    return counted(story, shutdown=1000.0)


@pytest.mark.parametrize("how", [({"code": 0, "after": True}, ended(0)), (None, Outcome("ssh_lost"))])
def test_what_the_relay_did_is_counted(how):
    container = Container(FOUND)

    assert there(container, SHELL, ("on_exit", *how), ("on_report", tells())) == {"reaped": 1, "kept": 1}
    assert container.looks == []


@pytest.mark.parametrize(
    ("result", "counts"), [({"code": 0}, {"reaped": 1, "kept": 1}), ({"error": "x"}, {"failed": 1})]
)
def test_what_a_relay_did_over_the_api_is_counted(result, counts):
    about = {"tag": "0a1b", "results": [{"generation": 1, "out": "dap-leftovers 1 1 0 0\n", **result}]}

    assert there(Container(FOUND), SHELL, ("on_exit", {"after": True}, None), ("on_report", about)) == counts


def test_it_may_be_told_before_the_session_is_over():
    container = Container(FOUND)
    steps = [
        ("on_report", tells()),
        ("on_exit", {"code": 0, "after": True}, ended(0)),
        ("on_report", tells()),
    ]

    assert there(container, SHELL, *steps) == {"reaped": 1, "kept": 1}
    assert container.looks == []


@pytest.mark.parametrize(
    ("about", "counts"),
    [
        (tells(1, "", "Unable to connect to the server: x"), {"failed": 1}),
        (tells(0, ""), {"failed": 1}),
        ({"tag": "0a1b", "results": [{"signal": 9}]}, {"failed": 1}),
        (tells(1, "", 'Error from server (NotFound): pods "p" not found'), {"gone": 1}),
    ],
)
def test_what_the_relay_could_not_do_is_counted(about, counts):
    """It has tried as often as we would."""
    assert there(Container(FOUND), SHELL, ("on_exit", None, None), ("on_report", about)) == counts


def test_a_relay_that_was_killed_owes_nothing_any_more():
    """And one that has only lost its link still does."""
    container = Container(FOUND)
    steps = [("on_exit", None, Outcome("incus_lost")), ("set_relay", 7)]
    assert there(container, SHELL, *steps) == {}
    assert there(container, SHELL, *steps, ("set_relay", 8), ("set_relay", 9)) == {"reaped": 1}

    assert len(container.looks) == 1


@pytest.mark.parametrize(
    ("exit_", "outcome", "counts"),
    [
        ({"code": 3}, ended(3), {}),
        ({"code": 1}, Outcome("cluster_lost"), {"reaped": 1}),
        ({"code": 129, "after": True}, None, {}),
        ({"error": "x", "errno": 2}, Outcome("kubectl_missing"), {}),
    ],
    ids=["itself", "kubectl", "ended", "not started"],
)
def test_only_here_it_is_known_whose_end_it_was(exit_, outcome, counts):
    """Kubectl ends by itself, in the relay's eyes, when the cluster has cut it off."""
    assert there(Container(FOUND), KILLED, ("on_exit", exit_, outcome)) == counts


@pytest.mark.parametrize(("outcome", "counts"), [(None, {"unknown": 1}), (ended(0), {})])
def test_a_clients_own_command_is_counted_there_too(outcome, counts):
    assert there(Container(FOUND), THEIRS, ("on_exit", {"code": 0}, outcome)) == counts


@pytest.mark.parametrize(
    ("scripts", "command", "outcome", "after"),
    [
        ([FOUND], SHELL, Outcome("ssh_lost"), 0.0),
        ([LOST, LOST, FOUND], SHELL, Outcome("ssh_lost"), 8.0),
        ([LOST], SHELL, None, sum(PAUSES)),
        ([FOUND], SHELL, Outcome("no_shell"), 0.0),
        ([FOUND], KILLED, ended(0), 0.0),
        ([FOUND], THEIRS, Outcome("ssh_lost"), 0.0),
    ],
    ids=["found", "later", "never", "no shell", "by itself", "theirs"],
)
def test_whoever_else_would_look_hears_when_nobody_has_to(scripts, command, outcome, after):
    """Not before: the gateway may be killed meanwhile."""
    container, heard = Container(*scripts), []

    async def story(reaper):
        reaper.over(replace(container.held(command), looked=lambda: heard.append(now())), outcome)

    counted(story, shutdown=1000.0)
    assert heard
    assert heard == pytest.approx([after] * len(heard))
