"""The tokens of the pages, which several processes may make at once: `schedy up` and its `schedy ui`."""

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from schedy_web.tokens import TOKENS_FILE, Tokens

_AT_ONCE = 8


def test_those_who_make_them_at_once_get_the_same(tmp_path: Path) -> None:
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        for number in range(50):
            path = tmp_path / str(number) / TOKENS_FILE
            barrier = threading.Barrier(_AT_ONCE)

            def _kept(path: Path = path, barrier: threading.Barrier = barrier) -> Tokens:
                barrier.wait()
                return Tokens.kept(path)

            made = [pool.submit(_kept) for _ in range(_AT_ONCE)]
            assert {each.result() for each in made} == {Tokens.kept(path)}
            assert [each.name for each in path.parent.iterdir()] == [TOKENS_FILE]
            assert path.stat().st_mode & 0o077 == 0


def test_a_file_that_cannot_be_read_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / TOKENS_FILE
    path.write_text("{")
    made = Tokens.kept(path)
    assert Tokens.kept(path) == made
