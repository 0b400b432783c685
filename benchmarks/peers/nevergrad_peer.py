"""``python nevergrad_peer.py``: NGOpt by ask and tell, a line of JSON each, for `benchmarks.field.tools`.

The first line has the `axes` (distributions as in a definition, by name), the `seed`, and how many `jobs` and `workers`
there will be. ``{"ask": KEY}`` is answered with a value for each axis; ``{"tell": KEY, "loss": NUMBER or null,
"violation": NUMBER}`` with nothing.

Runs in the environment of the peers.
"""

import json
import math
import sys
import warnings
from typing import Any

import nevergrad


def main() -> None:
    warnings.simplefilter("ignore")
    begin = json.loads(sys.stdin.readline())
    space = nevergrad.p.Dict(**{name: _parameter(axis) for name, axis in begin["axes"].items()})
    space.random_state.seed(begin["seed"])
    search = nevergrad.optimizers.NGOpt(space, budget=begin["jobs"], num_workers=begin["workers"])
    asked = {}
    for line in sys.stdin:
        message = json.loads(line)
        if "ask" in message:
            asked[message["ask"]] = candidate = search.ask()
            print(json.dumps(candidate.value), flush=True)
        else:
            loss = math.inf if message["loss"] is None else message["loss"]
            search.tell(asked.pop(message["tell"]), loss, [max(0.0, message["violation"])])


def _parameter(axis: dict[str, Any]) -> Any:
    ((kind, given),) = axis.items()
    if kind == "choice":
        return nevergrad.p.Choice(given["values"])
    make = nevergrad.p.Log if kind == "loguniform" or given.get("log") else nevergrad.p.Scalar
    number = make(lower=given["low"], upper=given["high"])
    return number.set_integer_casting() if kind == "int" else number


if __name__ == "__main__":
    main()
