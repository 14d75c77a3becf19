"""Wrong tokens are answered later and later, each address for itself, in bounded memory."""

import pytest

from gateway.access import wrong_tokens
from gateway.access.wrong_tokens import FORGET, FREE, LONGEST, WrongTokens


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def delays(wrong: WrongTokens, address: str, count: int) -> list[float]:
    return [wrong.delay(address) for _ in range(count)]


def test_the_first_are_free_and_the_rest_wait_longer_up_to_a_bound():
    wrong = WrongTokens()

    assert delays(wrong, "192.0.2.1", FREE) == [0] * FREE
    late = delays(wrong, "192.0.2.1", 3000)
    assert late[:4] == [0.1, 0.2, 0.4, 0.8]
    assert set(late[5:]) == {LONGEST}


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("192.0.2.1", "192.0.2.2", False), ("2001:db8::1", "2001:db8::ffff:1", True),
        ("2001:db8::1", "2001:db8:0:1::1", False), ("::ffff:192.0.2.1", "192.0.2.1", True),
        ("fe80::1%eth0", "fe80::2%eth1", True), ("", "192.0.2.1", False),
    ],
)  # fmt: skip
def test_each_address_waits_for_itself(one, other, same):
    wrong = WrongTokens()
    delays(wrong, one, FREE)

    assert (wrong.delay(other) > 0) is same


def test_whoever_is_silent_is_forgotten():
    clock = Clock()
    wrong = WrongTokens(clock)
    delays(wrong, "192.0.2.1", FREE + 5)
    clock.now += FORGET - 1
    assert wrong.delay("192.0.2.1") > 0
    clock.now += FORGET

    assert wrong.delay("192.0.2.2") == 0
    assert len(wrong) == 1
    assert wrong.delay("192.0.2.1") == 0


def test_the_table_is_bounded(monkeypatch):
    monkeypatch.setattr(wrong_tokens, "_MOST", 100)
    wrong = WrongTokens()
    for number in range(1000):
        wrong.delay(f"192.0.{number // 250}.{number % 250}")

    assert len(wrong) == 100
