"""Commands that read a store of very many jobs, beside their SQL alone."""

import sys
from collections.abc import Iterator, Sequence

from benchmarks.command_figures import Run, many_jobs, run, schedy
from benchmarks.figures import Figure, Scale, median
from benchmarks.servers import Servers

_IMPORTS = ("click", "pydantic.main")
_COMMANDS = {
    "show, one of": ("show", "NAME", "J00005"),
    "best of": ("best", "NAME"),
    "list -s, 20 of": ("list", "NAME", "-s", "result", "--limit", "20"),
    "list -t, 20 of": ("list", "NAME", "-t", "--limit", "20"),
    "watch of": ("watch", "NAME"),
}


def read_figures(where: Servers, scale: Scale) -> Iterator[Figure]:
    """Yield the time of whole commands; the store was filled before."""
    name = very_many_jobs(where)
    for read, words in _COMMANDS.items():
        command = schedy(*(name if word == "NAME" else word for word in words))
        yield _beside_sql(where, scale, f"{read} {scale.read:,} jobs", command, (name, words[0]))
    many = many_jobs(where)
    yield _beside_sql(where, scale, f"list all of {scale.listed:,} jobs", schedy("list", many), (many, "all"))


def _beside_sql(where: Servers, scale: Scale, row: str, command: list[str], read: tuple[str, str]) -> Figure:
    bare = [sys.executable, "-m", "benchmarks.bare_read", where.store_url, *read]
    rounds = [[run(each, where) for each in (command, bare, [*bare, *_IMPORTS])] for _ in range(scale.starts)]
    ours, beside, importing = (_milliseconds(runs) for runs in zip(*rounds, strict=True))
    limit = f"beside the SQL with click and pydantic imported: {ours / importing:.2f}"
    return Figure(row, "ms", ours, beside, limit)


def very_many_jobs(where: Servers) -> str:
    """The name of the experiment of `Scale.read` jobs."""
    return f"{where.name}-very-many"


def _milliseconds(runs: Sequence[Run]) -> float:
    return 1000 * median([one.total for one in runs])
