"""Runs that take long: made on all processors, and kept in a folder, so that they go on where they were stopped."""

import json
import sys
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path
from typing import Any

Run = tuple[str, str, int]
"""A tool, the name of a problem, and a seed."""


def made(
    folder: Path, runs: Iterable[Run], make: Callable[[Run], list[Any]], *, is_enough: Callable[[list[Any]], bool]
) -> Mapping[Run, list[Any]]:
    """Return what each run has found; those that the folder lacks, or has with too little, are made and kept there.

    There is a file for each tool, with a line of JSON for each run. `make` is called in other processes.
    """
    folder.mkdir(parents=True, exist_ok=True)
    wanted = list(runs)
    found = {run: kept for tool in {tool for tool, *_ in wanted} for run, kept in _read(folder, tool)}
    missing = [run for run in wanted if run not in found or not is_enough(found[run])]
    with ProcessPoolExecutor(mp_context=get_context("spawn")) as pool:
        working = {pool.submit(make, run): run for run in missing}
        for done, work in enumerate(as_completed(working), 1):
            tool, problem, seed = run = working[work]
            found[run] = work.result()
            with _file(folder, tool).open("a") as kept:
                kept.write(json.dumps({"problem": problem, "seed": seed, "found": found[run]}) + "\n")
            print(f"\r{done} of {len(missing)} runs", end="\n" if done == len(missing) else "", file=sys.stderr)
    return {run: found[run] for run in wanted}


def _read(folder: Path, tool: str) -> Iterable[tuple[Run, list[Any]]]:
    if _file(folder, tool).exists():
        for line in map(json.loads, _file(folder, tool).read_text().splitlines()):
            yield (tool, line["problem"], line["seed"]), line["found"]


def _file(folder: Path, tool: str) -> Path:
    return folder / f"{tool}.jsonl"
