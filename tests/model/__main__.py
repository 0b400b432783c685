"""``python -m tests.model [SCENARIO ...]``: search the large scenarios, and print a line of JSON for each."""

import json
import sys
import time
from dataclasses import asdict

from tests.model.scenarios import LARGE
from tests.model.search import search


def main(wanted: list[str]) -> int:
    results = [search(scenario) for scenario in LARGE if not wanted or scenario.name in wanted]
    for result in results:
        told = {**asdict(result), "cpu_seconds": time.process_time(), "violation": str(result.violation or "")}
        sys.stdout.write(json.dumps(told) + "\n")
    return int(any(result.violation for result in results))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
