"""Answers that the pages' server keeps: until the store has changed, and not for ever."""

import itertools

from schedy_web.answers import KeptAnswers


def test_an_answer_is_kept_until_the_store_changes_or_it_is_old() -> None:
    version = itertools.count()
    made = itertools.count()

    def _make() -> bytes:
        return f"{next(made)}".encode()

    same = KeptAnswers(lambda: 1, longest_seconds=60.0)
    assert [same.get("a", _make, seconds=0.0).plain for _ in range(3)] == [b"0"] * 3
    assert same.get("b", _make, seconds=0.0).plain == b"1"
    changing = KeptAnswers(lambda: next(version), longest_seconds=60.0)
    assert [changing.get("a", _make, seconds=0.0).plain for _ in range(2)] == [b"2", b"3"]
    assert changing.get("a", _make, seconds=60.0).plain == b"3"
    same.expire()
    assert [same.get("a", _make, seconds=60.0).plain for _ in range(2)] == [b"4", b"4"]
    old = KeptAnswers(lambda: 1, longest_seconds=0.0)
    assert [old.get("a", _make, seconds=0.0).plain for _ in range(2)] == [b"5", b"6"]
