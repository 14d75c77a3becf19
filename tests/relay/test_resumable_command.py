"""Commands with a name: output until it is seen, input counted to the byte, the note and the list."""

import hashlib
import json
import os
import random
import signal
import time
from pathlib import Path

import pytest
from support.relayed import LIMIT, Said
from support.repeated import seeds
from support.waiting import becomes

from gateway.relay import wire


@pytest.fixture
def link(shared_link):
    return shared_link


FAR_AHEAD = {"input": 1 << 20}


def lines(count: int, first: int = 0) -> bytes:
    return b"".join(b"line %d\n" % number for number in range(first, count))


def says(count: int, first: int = 0) -> str:
    """A program that says them in few writes, so that it costs little."""
    return f"seq -f 'line %.0f' {first} {count - 1}"


def listed(link) -> list[dict]:
    said = link.finish(link.ask(list=True))
    assert said.exit == {"code": 0}
    return [json.loads(line) for line in said.stdout.splitlines()]


def settled(link, true) -> None:
    """Asks until the list is so."""
    assert becomes(lambda: true(listed(link)), LIMIT), listed(link)


def attach(link, name: str = "s", offset: int = 0, **more) -> tuple[int, Said]:
    number = link.ask(attach=name, offset=offset, **more)
    said = link.streams[number]
    link.until(lambda: said.started or said.exit)
    return number, said


def seen(link, number: int, offset: int) -> None:
    link.send(wire.encode_offset(wire.SEEN, number, offset))


def test_output_is_kept_until_it_is_seen(lasting, link):
    number = link.open("sh", "-c", says(20000) + "; exec sleep 1000", name="s")
    every = lines(20000)
    link.until(lambda: link.streams[number].stdout == every)
    link.leave()

    second = lasting.link_at_hand()
    again, said = attach(second)
    second.until(lambda: said.stdout == every)
    assert said.started["offset"] == 0
    seen(second, again, 100_000)
    seen(second, again, 50_000)
    (shown,) = listed(second)
    assert (shown["seen"], shown["start"], shown["end"]) == (100_000, 100_000, len(every))
    third, said = attach(second, offset=99_999)
    second.until(lambda: said.stdout == every[100_000:])
    assert said.started["offset"] == 100_000
    assert said.gaps == []
    second.say(wire.END, third)
    second.finish(third)


def test_a_stream_whose_command_another_one_has_says_nothing_more(link):
    first = link.open("sh", "-c", says(400_000) + "; exec sleep 1000", name="s", credit=1 << 23)
    time.sleep(0.5)  # much waits for the link
    second, _ = attach(link, credit=1000)
    before = len(link.streams[first].stdout)
    link.say(wire.PING, 0)
    link.until(lambda: link.pongs and len(link.streams[second].stdout) == 1000)

    assert len(link.streams[first].stdout) == before
    link.say(wire.END, second)
    link.finish(second)


def test_at_the_cap_the_oldest_goes(far):
    """Nobody has a link to it meanwhile; what is left is a whole tail."""
    link = far.link(memory=4096, capacity=100_000)
    number = link.open("sh", "-c", "read x; " + says(40000) + "; exit 3", name="s", newest=True)
    link.until(lambda: link.streams[number].started)
    link.say(wire.STDIN, number, b"\n")
    link.leave()
    second = far.link(memory=4096, capacity=100_000)
    settled(second, lambda rows: rows[0]["result"])
    _, said = attach(second)

    said = second.finish(max(second.streams))
    every = lines(40000)
    assert said.exit == {"code": 3}
    assert said.started["offset"] == len(every) - len(said.stdout)
    assert said.stdout == every[-len(said.stdout) :]
    assert 80_000 < len(said.stdout) <= 100_000


def test_at_the_cap_a_slow_link_is_told_where_it_goes_on(far):
    link = far.link(memory=4096, capacity=100_000)
    number = link.open("sh", "-c", "read x; " + says(40000), name="s", newest=True, credit=1000)
    said = link.streams[number]
    link.hold.add(number)
    link.say(wire.STDIN, number, b"\n")
    settled(link, lambda rows: rows[0]["result"])
    assert len(said.stdout) == 1000
    link.send(wire.encode_credit(number, 1 << 20))
    link.finish(number)

    (gap,) = said.gaps
    assert gap[0] == 1000
    assert said.stdout == said.gone_on(lines(40000))


def test_without_newest_the_cap_ends_it(far):
    link = far.link(memory=4096, capacity=100_000)
    number = link.open("sh", "-c", says(40000), name="s", credit=1000)
    link.hold.add(number)
    settled(link, lambda rows: rows[0]["result"])

    assert listed(link)[0]["result"]["full"] is True


def test_without_a_disk_it_goes_on_in_memory(far):
    link = far.link(memory=50_000, capacity=1 << 20)
    halves = f"{says(20000)}; sleep 1; {says(40000, 20000)}"  # meanwhile the relay has tried to write
    number = link.open("sh", "-c", f"read x; {halves}; exit 3", name="s", newest=True)
    link.until(lambda: link.streams[number].started)
    (place,) = far.places
    moved = place.with_name("moved")
    place.rename(moved)
    link.hold.add(number)
    link.say(wire.STDIN, number, b"\n")
    settled(link, lambda rows: rows[0]["result"])
    moved.rename(place)
    link.send(wire.encode_credit(number, 1 << 20))
    said = link.finish(number)

    every = lines(40000)
    before, goes_on = said.gaps[
        -1
    ]  # there are more where a link that is behind lost some before its credit was gone
    assert before == wire.WINDOW
    assert said.stdout == said.gone_on(every)
    assert said.exit == {"code": 3}
    assert len(every) - goes_on > 40_000


@pytest.mark.parametrize("seed", seeds(3))
def test_input_is_counted_exactly(far, seed):
    """Links are cut at any moment; what had not come is sent again, and the command reads each byte once."""
    chance = random.Random(seed)
    every = chance.randbytes(400_000)
    link = far.link()
    number = link.open("sh", "-c", f"head -c {len(every)} | sha256sum", name="s")
    said, taken = link.streams[number], 0
    while said.exit is None and taken < len(every):
        sent, limit = taken, chance.randrange(1000, 150_000)
        credit = wire.WINDOW if taken == 0 and link is far.links[0] else 0
        while sent < len(every) and sent - taken < limit and said.exit is None:
            link.until(lambda s=said, n=sent - taken, c=credit: s.exit or n < c + s.credit)
            part = every[sent : min(sent + chance.randrange(1, 5000), taken + credit + said.credit)]
            link.say(wire.STDIN, number, part)
            sent += len(part)
        if sent == len(every):
            break
        link.process.kill() if chance.random() < 0.5 else link.leave()
        link = far.link()
        number, said = attach(link)
        assert taken <= said.started["received"] <= sent
        taken = said.started["received"]

    assert link.finish(number).stdout.split()[0].decode() == hashlib.sha256(every).hexdigest()


@pytest.mark.parametrize(("first", "later"), [({}, {}), (FAR_AHEAD, FAR_AHEAD), (FAR_AHEAD, {})])
def test_what_waits_is_no_credit_for_the_next_link(lasting, link, first, later):
    """A command that does not read: however often it is attached, no more waits than the first link could send."""
    number = link.open("sleep", "1000", name="s", **first)
    said, sent = link.streams[number], 0
    link.until(lambda: said.started)
    credit = ahead = first.get("input", wire.INPUT)
    for _ in range(4):
        try:
            while True:
                link.until(lambda n=sent, c=credit, s=said: n < c + s.credit, seconds=0.5)
                part = min(wire.CHUNK, credit + said.credit - sent)
                link.say(wire.STDIN, number, bytes(part))
                sent += part
        except TimeoutError:
            link.leave()
        link = lasting.link_at_hand()
        number, said = attach(link, **later)
        assert said.started["received"] == sent
        credit = sent

    assert ahead < sent <= ahead + 256 * 1024, "its pipe is not larger"


def test_a_link_that_asks_for_less_input_than_waits_goes_on(lasting, link):
    """As a gateway of an earlier version does, once that version is wanted again. It has no more credit than it asked for."""
    every = bytes(3 << 20)
    number = link.open("sh", "-c", "kill -STOP $$; sha256sum", name="s", input=4 << 20)
    link.until(lambda: link.streams[number].started)
    link.say_all(number, every)
    link.leave()
    link = lasting.link_at_hand()
    number, said = attach(link)
    status = Path(f"/proc/{said.started['pid']}/status")
    assert becomes(lambda: "State:\tT" in status.read_text(), LIMIT), "it stops itself"
    os.kill(said.started["pid"], signal.SIGCONT)
    least = wire.INPUT - wire.WINDOW // 2  # a grant is due when so many bytes were used
    link.until(lambda: said.credit > least)
    assert said.credit <= wire.INPUT
    rest = bytes(least)
    link.say_all(number, rest)
    link.say(wire.EOF, number)

    assert link.finish(number).stdout.split()[0].decode() == hashlib.sha256(every + rest).hexdigest()


def test_what_was_received_is_told_at_once(link):
    number = link.open("sleep", "1000", name="s", tty=[80, 24])
    link.until(lambda: link.streams[number].started)
    for count in range(1, 4):
        link.say(wire.STDIN, number, b"k")
        link.until(lambda n=count: link.streams[number].received == n)


def test_a_command_without_a_name_is_told_nothing_of_it(link):
    number = link.open("cat")
    link.say(wire.STDIN, number, b"k")
    link.until(lambda: link.streams[number].stdout == b"k")

    assert link.streams[number].started.keys() == {"pid", "offset"}
    assert wire.RECEIVED not in link.streams[number].kinds


def test_skip_leaves_the_newest(link):
    every = lines(40000)
    number = link.open("sh", "-c", says(40000), name="s", credit=1000)
    said = link.streams[number]
    link.hold.add(number)
    settled(link, lambda rows: rows[0]["result"])
    link.say(wire.SKIP, number)
    link.send(wire.encode_credit(number, 1 << 20))
    link.finish(number)
    link.say(wire.SKIP, number)

    assert said.stdout == every[:1000] + every[-4096:]
    assert [goes_on for _, goes_on in said.gaps] == [len(every) - 4096]
    assert listed(link)[0]["seen"] == 0, "nobody has seen it"


def test_the_list_tells_what_a_new_gateway_needs(lasting, link):
    assert link.about["named"] == 0
    note = {"identity": "me", "words": "größer"}
    one = link.open("sh", "-c", "echo hi; read x; exit 3", name="one", note=note)
    two = link.open("sleep", "1000", name="two")
    link.until(lambda: link.streams[one].stdout == b"hi\n" and link.streams[two].started)
    link.send(wire.encode_object(wire.NOTE, two, {"changed": True}))
    link.say(wire.STDIN, one, b"\n")
    link.finish(one)
    link.leave()

    second = lasting.link_at_hand()
    assert second.about["named"] == 2
    empty = {"seen": 0, "start": 0, "attached": False}
    assert listed(second) == [
        empty | {"name": "one", "note": note, "end": 3, "received": 1, "result": {"code": 3}},
        empty | {"name": "two", "note": {"changed": True}, "end": 0, "received": 0, "result": None},
    ]
    number, _ = attach(second, "two")
    assert [row["attached"] for row in listed(second)] == [False, True]
    second.say(wire.END, number)
    second.finish(number)


def test_a_long_list_has_credit_too(link):
    note = {"text": "x" * 8000}
    for number in range(40):
        link.open("sleep", "1000", name=f"s-{number}", note=note)
    settled(link, lambda rows: len(rows) == 40)
    number = link.ask(list=True, credit=10_000)
    link.hold.add(number)
    link.until(lambda: len(link.streams[number].stdout) == 10_000)
    link.send(wire.encode_credit(number, 1 << 20))

    assert len(link.finish(number).stdout.splitlines()) == 40


def test_a_name_is_there_until_its_end_was_taken(lasting, link):
    number = link.open("true", name="s")
    link.finish(number)
    link.leave()
    second = lasting.link_at_hand()
    again, said = attach(second)
    assert said.exit == {"code": 0}
    second.say(wire.END, again)

    assert listed(second) == []
    assert second.finish(second.ask(attach="s")).exit["unknown"] is True
    second.run("true", name="s")


NAMED = wire.encode_request(1, {"argv": ["sleep", "9"], "name": "s"})
PLAIN = wire.encode_request(1, {"argv": ["sleep", "9"]})
BROKEN = {
    "a note of text": wire.encode(wire.OPEN, 1, b'{"argv": ["x"], "name": "n", "note": "x"}'),
    "a long note": wire.encode_request(1, {"argv": ["x"], "name": "n", "note": {"x": "y" * 8192}}),
    "a name of a number": wire.encode(wire.OPEN, 1, b'{"argv": ["x"], "name": 3}'),
    "the same name": NAMED + wire.encode_request(2, {"argv": ["x"], "name": "s"}),
    "a short offset": NAMED + wire.encode(wire.SEEN, 1, b"123"),
    "a note that is none": NAMED + wire.encode(wire.NOTE, 1, b"[]"),
    "seen without a name": PLAIN + wire.encode_offset(wire.SEEN, 1, 0),
    "a note without a name": PLAIN + wire.encode(wire.NOTE, 1, b"{}"),
    "skip without a name": PLAIN + wire.encode(wire.SKIP, 1),
    "gap from a gateway": NAMED + wire.encode_offset(wire.GAP, 1, 0),
    "input on a list": wire.encode_request(1, {"list": True, "credit": 0}) + wire.encode(wire.RESIZE, 1, b""),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_rule_ends_the_link_with_a_reason(lasting, link, name):
    link.streams.update({number: Said() for number in (0, 1, 2)})
    link.send(BROKEN[name])
    link.until(lambda: link.closed)

    assert link.bye
    assert link.bye.startswith("broken rule: ")
    after = lasting.link_at_hand()
    assert after.about["pid"] == link.about["pid"]


def test_seen_beyond_the_end_is_the_end(link):
    number = link.open("sh", "-c", "echo hi; exec sleep 9", name="s")
    link.until(lambda: link.streams[number].stdout == b"hi\n")
    seen(link, number, 1 << 63)

    assert (listed(link)[0]["seen"], listed(link)[0]["start"]) == (3, 3)


def test_an_offset_that_is_no_number_finds_nothing(link):
    link.open("sleep", "9", name="s")
    number = link.ask(attach="s", offset="0")

    assert link.finish(number).exit["unknown"] is True
