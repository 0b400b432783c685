"""``python -m chaos``: breaks everything for a while and says whether the promises were kept. See docs/chaos.md."""

import argparse
import logging
import secrets
import signal
import sys
import tempfile
import time
from pathlib import Path
from types import FrameType

from chaos.brokers import KINDS
from chaos.releases import ReleaseError
from chaos.report import summary
from chaos.run import ChaosRun, Plan

_LOG_FORMAT = "%(asctime)s %(levelname)s %(message)s"


def main() -> int:
    options = _options()
    signal.signal(signal.SIGTERM, _as_interrupt)
    print(f"seed {options.seed}", flush=True)
    stores = ["sqlite", "postgresql"] if options.store == "both" else [options.store]
    try:
        found = [_run(options, store, share=1 / len(stores)) for store in stores]
    except ReleaseError as error:
        print(error, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("Interrupted; everything was stopped.", file=sys.stderr)
        return 130
    return 1 if any(found) else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m chaos", description=__doc__)
    parser.add_argument("--seconds", type=float, default=600.0, help="how long things break (default 600)")
    parser.add_argument("--seed", type=int, default=secrets.randbelow(1_000_000), help="repeats a choice of faults")
    parser.add_argument("--broker", choices=KINDS, default="3.10", help="a RabbitMQ version, or a cluster of three")
    parser.add_argument("--store", choices=("sqlite", "postgresql", "both"), default="both", help="half of it on each")
    parser.add_argument("--workers", type=int, default=8)
    parser.add_argument("--jobs", type=int, help="default: 8 for each second, 2000 at least")
    parser.add_argument("--settle", type=float, default=3.0, help="seconds of peace after queues are declared")
    parser.add_argument("--new-queues", action="store_true", help="delete queues and declare new ones meanwhile")
    parser.add_argument("--folder", type=Path, help="where runs leave their files (default: a temporary folder)")
    return parser.parse_args()


def _as_interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _run(options: argparse.Namespace, store: str, *, share: float) -> bool:
    """Run on one kind of store; returns whether a promise was broken. The files stay."""
    folder = Path(tempfile.mkdtemp(prefix=f"schedy-chaos-{options.broker}-{store}-", dir=options.folder))
    jobs = options.jobs or max(2000, round(8 * options.seconds))
    plan = Plan(
        seed=options.seed,
        seconds=options.seconds * share,
        broker=options.broker,
        store=store,
        workers=options.workers,
        jobs=round(jobs * share),
        settle_seconds=options.settle,
        new_queues=options.new_queues,
    )
    print(f"\nRabbitMQ {plan.broker}, {store}, {plan.seconds:.0f} s, seed {plan.seed}; files in {folder}", flush=True)
    logging.basicConfig(filename=folder / "driver.log", level="INFO", format=_LOG_FORMAT, force=True)
    started = time.monotonic()
    result = ChaosRun(plan, folder).run()
    text = summary(plan, result, seconds=time.monotonic() - started)
    (folder / "summary.txt").write_text(text + "\n")
    print(text, flush=True)
    return bool(result.violations)


if __name__ == "__main__":
    sys.exit(main())
