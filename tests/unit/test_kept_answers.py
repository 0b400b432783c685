"""Answers that the pages' server keeps: until the store has changed, and not for ever."""

import itertools
import threading

from schedy_web.answers import KeptAnswers
from tests.support import wait_until


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


def test_an_answer_with_a_tag_is_made_again_only_when_that_has_changed() -> None:
    version, made, tag = itertools.count(), itertools.count(), ["a"]
    kept = KeptAnswers(lambda: next(version), longest_seconds=0.0)

    def _make() -> bytes:
        return f"{next(made)}".encode()

    def _plain() -> bytes:
        return kept.get("x", _make, seconds=0.0, tag=lambda: list(tag)).plain

    assert [_plain(), _plain()] == [b"0", b"0"]
    tag.append("b")
    assert [_plain(), _plain()] == [b"1", b"1"]
    kept.expire()
    assert _plain() == b"2"


def test_what_is_at_hand_is_known_without_a_look_at_the_store() -> None:
    looks = itertools.count()
    kept = KeptAnswers(lambda: next(looks), longest_seconds=60.0)
    assert kept.ready("a") is None
    body = kept.get("a", lambda: b"1", seconds=60.0)
    before = next(looks)
    assert kept.ready("a") is body
    assert next(looks) == before + 1
    kept.expire()
    assert kept.ready("a") is None
    kept.get("b", lambda: b"1", seconds=0.0)
    assert kept.ready("b") is None


def test_an_answer_is_at_hand_again_once_the_store_was_seen_to_be_the_same() -> None:
    looks: list[int] = []

    def _version() -> int:
        looks.append(1)
        return 1

    kept = KeptAnswers(_version, longest_seconds=60.0)
    body = kept.get("a", lambda: b"1", seconds=0.05)
    wait_until(lambda: kept.ready("a") is None, what="the next look at the store")
    assert kept.get("a", lambda: b"2", seconds=60.0) is body
    seen = len(looks)
    assert kept.ready("a") is body
    assert len(looks) == seen


def test_the_oldest_answers_go_when_there_are_many_bytes() -> None:
    kept = KeptAnswers(lambda: 1, longest_seconds=60.0)
    large = bytes(range(256)) * 7000  # it cannot be packed much
    made: list[str] = []

    def _get(key: str) -> None:
        def _make() -> bytes:
            made.append(key)
            return large

        kept.get(key, _make, seconds=60.0)

    for number in range(40):
        _get(str(number))
    _get("39")
    assert len(made) == 40
    _get("0")
    assert made[-1] == "0"


def test_while_an_answer_is_made_others_get_the_one_before() -> None:
    version = itertools.count()
    kept = KeptAnswers(lambda: next(version), longest_seconds=0.0)
    kept.get("a", lambda: b"1", seconds=0.0)
    makes, others = threading.Event(), threading.Event()

    def _slowly() -> bytes:
        makes.set()
        others.wait(30)
        return b"2"

    maker = threading.Thread(target=lambda: kept.get("a", _slowly, seconds=0.0))
    maker.start()
    makes.wait(30)
    assert kept.get("a", lambda: b"3", seconds=0.0).plain == b"1"
    kept.expire()  # what is under way may not have the change
    others.set()
    maker.join()
    assert kept.get("a", lambda: b"4", seconds=60.0).plain == b"4"
