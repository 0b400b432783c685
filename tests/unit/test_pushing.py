"""Jobs that are pushed: how they are cut into messages."""

from schedy.pushing import CheckedJob, check_new_job, chunks


def job(*, size: int) -> CheckedJob:
    checked = check_new_job({"x": "a" * (size - len('{"x": ""}') - len("{}"))}, limit_bytes=1_000_000)
    assert checked.size == size
    return checked


def test_small_jobs_go_two_hundred_in_a_message() -> None:
    jobs = [job(size=20) for _ in range(450)]
    cut = list(chunks(jobs))
    assert [len(chunk) for chunk in cut] == [200, 200, 50]
    assert [new for chunk in cut for new in chunk] == [checked.new for checked in jobs]


def test_large_jobs_go_by_their_size() -> None:
    assert [len(chunk) for chunk in chunks([job(size=100_000) for _ in range(5)])] == [2, 2, 1]


def test_a_job_that_is_larger_than_a_message_goes_alone() -> None:
    assert [len(chunk) for chunk in chunks([job(size=20), job(size=300_000), job(size=20)])] == [1, 1, 1]


def test_nothing_makes_no_message() -> None:
    assert list(chunks([])) == []
