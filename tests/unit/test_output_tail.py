"""The end of an output: parts that follow, overlap, or leave a gap, cut at characters."""

import pytest

from schedy.wire.output import LONGEST_OUTPUT, Tail, end_of


@pytest.mark.parametrize(
    ("first", "later", "joined"),
    [
        (("ab", 2), ("cd", 4), ("abcd", 4)),
        (("ab", 2), ("abcd", 4), ("abcd", 4)),
        (("ab", 2), ("bcd", 4), ("abcd", 4)),
        (("ab", 2), ("d", 4), ("d", 4)),
        (("ab", 2), ("ab", 2), ("ab", 2)),
        (("ab", 2), ("a", 1), ("ab", 2)),
        (("é", 2), ("é", 4), ("éé", 4)),
        (("ab", 9), ("cd", 11), ("abcd", 11)),
        (("", 0), ("cd", 11), ("cd", 11)),
    ],
)
def test_parts_are_joined_once(first: tuple[str, int], later: tuple[str, int], joined: tuple[str, int]) -> None:
    assert Tail.of(*first).joined(Tail.of(*later)) == Tail(*joined)


def test_the_end_is_kept_and_begins_with_a_whole_character() -> None:
    tail = Tail.of("é" * LONGEST_OUTPUT, 2 * LONGEST_OUTPUT).joined(Tail.of("x", 2 * LONGEST_OUTPUT + 1))
    assert tail.text == "é" * (LONGEST_OUTPUT // 2 - 1) + "x"
    assert tail.start == LONGEST_OUTPUT + 2
    assert tail.after(tail.end - 3) == Tail("éx", tail.end)
    assert tail.after(tail.end).text == tail.after(tail.end + 5).text == ""


def test_what_no_database_stores_is_replaced_byte_by_byte() -> None:
    assert end_of("a\0b\udc80c\x1b", 10) == "a?b?c\x1b"
