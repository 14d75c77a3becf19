"""README.md beside the protocol says what the code does: its tables are read and compared."""

import ast
import json
import re
from pathlib import Path

import pytest
from support.differences import CHANGES
from support.exec_cases import CASES

import gateway
from gateway.protocol import codec
from gateway.protocol.messages import Stream
from gateway.protocol.outcome import CODES, Hop, Outcome, ended
from gateway.protocol.status import SUCCESS, exited, failure, internal_error
from gateway.protocol.subprotocols import SUBPROTOCOLS

VECTORS = Path(__file__).parents[1] / "vectors" / "exec.json"
README = (Path(codec.__file__).parent / "README.md").read_text()


def section(title: str) -> str:
    """The text under a heading, up to the next."""
    return README.split(f"## {title}\n", 1)[1].split("\n## ", 1)[0]


def rows(title: str) -> list[list[str]]:
    """The cells of all tables in a section, headings included."""
    lines = [
        line for line in section(title).splitlines() if line.startswith("|") and not line.startswith("|---")
    ]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]


def test_the_outcomes_are_the_vocabulary():
    """Same codes in the same order, with hop, HTTP code and meaning."""
    expected = [[f"`{code}`", str(row.hop), str(row.http or "-"), row.meaning] for code, row in CODES.items()]

    assert rows("Outcomes")[1:] == expected
    assert f"client on: {', '.join(Hop)}." in section("Outcomes")


def test_whatever_names_an_outcome_has_a_row():
    """Else it would be a KeyError at the end of somebody's session."""
    named, makers = set(), ("Outcome", "HopFailed", "Refused")
    texts = (file.read_text() for file in Path(gateway.__file__).parent.rglob("*.py"))
    for text in (text for text in texts if any(maker in text for maker in makers)):
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") in makers:
                named |= {one.value for one in node.args[:1] if isinstance(one, ast.Constant)}
    named = {code for code in named if " " not in code}  # a relay's refusal says why in words

    assert len(named) > 30
    assert named <= set(CODES)


def test_the_subprotocols_are_the_rows():
    """Same names in the same order, with what each of them has."""
    expected = [
        [
            f"`{row.name}`" if row.name else "(nothing offered)",
            "text, base64" if row.base64 else "binary",
            "JSON Status" if row.json_status else "words, only on failure",
            "yes" if row.half_close else "no",
            "JSON control messages" if row.control else "-",
        ]
        for row in SUBPROTOCOLS
    ]

    assert rows("Subprotocols")[1:] == expected


def test_the_streams_are_the_ids():
    """By number and name."""
    listed = {row[0]: row[1] for row in rows("Messages") if row[0].isdecimal()}

    assert listed == {str(int(stream)): stream.name.lower() for stream in Stream}


def test_the_limits_are_the_codecs():
    """In the words of the table."""
    limits = dict(
        row[:2] for row in rows("Messages") if row[0].startswith(("payload", "message from", "resize m"))
    )

    assert limits["payload of a message from the gateway"] == f"{codec.CHUNK // 1024} KiB"
    assert limits["message from a client"].startswith(f"{codec.MAX_MESSAGE // 1024**2} MiB; ")
    assert f"; {codec.MAX_OWN // 1024**2} MiB on `v1.dap-gateway`; " in limits["message from a client"]
    assert limits["resize message"] == (
        f"{codec.CHUNK // 1024} KiB; an unfinished object {codec.RESIZE_LIMIT} characters"
    )


@pytest.mark.parametrize("status", [SUCCESS, exited(3), internal_error("boom")])
def test_status_examples(status):
    """Byte for byte."""
    assert f"`{status.json().decode()}`" in section("Status")


@pytest.mark.parametrize("row", rows("Refusals before the upgrade")[1:], ids=str)
def test_refusals_have_kubernetes_reasons(row):
    """The reason follows from the code."""
    assert failure(int(row[1]), "x").reason == row[2]


def test_control_messages_have_the_fields_that_are_named():
    """Each type that there is a vector of, from whom it comes, and all its fields."""
    table = rows("Control messages of `v1.dap-gateway`")
    middle = next(at for at, row in enumerate(table) if row[0] == "from the client")
    named = {
        (who, row[0].strip("`")): set(re.findall(r"`(\w+)`", row[2]))
        for who, part in (("server", table[1:middle]), ("client", table[middle + 1 :]))
        for row in part
    }
    shown = [one for one in json.loads(VECTORS.read_text()) if one["kind"] == "control"]
    types = {(one["direction"], one["control"]["type"]) for one in shown} - {("server", "next-year")}

    assert named.keys() == types
    for one in shown:
        fields = named.get((one["direction"], one["control"]["type"]))
        assert fields is None or one["control"].keys() - {"type"} <= fields, one["name"]
    assert named["server", "refused"] == Outcome("shutdown").as_control("refused").keys() - {"type"}
    assert named["server", "end"] == ended(0).as_control("end").keys() - {"type"}


def test_the_differences_are_those_of_the_differential_suite():
    """Same keys in the same order; each with a reason."""
    table = rows("Differences from the API server")[1:]

    assert [row[0].strip("`") for row in table] == list(CHANGES)
    assert all(len(row) == 4 and row[3] for row in table)


def test_every_change_is_used_by_a_case():
    """A difference that no case shows has None."""
    shown = {case.differs for case in CASES if case.differs} | {"v4-words"}

    assert shown == {key for key, change in CHANGES.items() if change}
