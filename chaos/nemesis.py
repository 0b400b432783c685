"""Picks faults at random, from the seed, in several lanes at once."""

import random
import threading
import time
from collections import Counter
from pathlib import Path

from chaos.faults import Fault, Lane, Scene, lanes

_NOBODY_SECONDS = 0.2
_FIRST_ROUND_SECONDS = 30.0


class FaultLog:
    """Prints a line for each fault and keeps it in a file. Thread-safe."""

    def __init__(self, path: Path, *, show: bool = True) -> None:
        self._file = path.open("a", buffering=1)
        self._lock = threading.Lock()
        self._started = time.monotonic()
        self._show = show
        self.counts: Counter[str] = Counter()

    def say(self, text: str, *, began: float | None = None) -> None:
        """Print a line, with the time now or when it began."""
        seconds = (began or time.monotonic()) - self._started
        line = f"{time.strftime('%H:%M:%S')} {seconds:6.1f}  {text}"
        with self._lock:
            self._file.write(line + "\n")
            if self._show:
                print(line, flush=True)

    def fault(self, kind: str, what: str, *, began: float) -> None:
        with self._lock:
            self.counts[kind] += 1
        self.say(f"{kind}: {what}", began=began)


class Nemesis:
    """Breaks things from `start` until `stop`."""

    def __init__(self, scene: Scene, log: FaultLog, *, seed: int) -> None:
        self._scene = scene
        self._log = log
        self._errors: list[BaseException] = []
        found = lanes(database=scene.store.can_stop, new_queues=scene.new_queues)
        self._first_rounds = [threading.Event() for _ in found]
        self._threads = [
            threading.Thread(target=self._run, args=(number, lane, seed), name=f"lane {number}", daemon=True)
            for number, lane in enumerate(found)
        ]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Let the faults under way come to their end, once each kind has occurred.

        Raises what went wrong with a fault itself.
        """
        for first_round in self._first_rounds:
            first_round.wait(_FIRST_ROUND_SECONDS)
        self._scene.over.set()
        for thread in self._threads:
            thread.join()
        if self._errors:
            raise self._errors[0]

    def _run(self, number: int, lane: Lane, seed: int) -> None:
        choice = random.Random(f"{seed} {number}")  # noqa: S311 - nothing secret
        try:
            while not self._scene.over.is_set():
                self._round(lane, choice)
                self._first_rounds[number].set()
        except BaseException as error:
            self._errors.append(error)
            self._first_rounds[number].set()
            self._log.say(f"the nemesis itself failed: {error!r}")

    def _round(self, lane: Lane, choice: random.Random) -> None:
        """Each kind of fault once, in any order."""
        for kind in choice.sample(list(lane.faults), len(lane.faults)):
            self._scene.pause(choice.uniform(0.2, 1.8) * lane.pause_seconds)
            if self._scene.over.is_set():
                return
            self._insist(kind, lane.faults[kind], choice)

    def _insist(self, kind: str, fault: Fault, choice: random.Random) -> None:
        """Do a fault, as soon as there is somebody to do it to."""
        done = None
        while done is None and not self._scene.over.is_set():
            began = time.monotonic()
            done = fault(self._scene, choice)
            if done is None:
                self._scene.pause(_NOBODY_SECONDS)
            else:
                self._log.fault(kind, done, began=began)
