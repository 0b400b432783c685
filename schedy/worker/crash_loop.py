"""A worker that crashes job after job within seconds stops: one bad machine must not eat the queue."""

from schedy.errors import UnhealthyWorkerError


class CrashLoop:
    """Counts jobs that crashed soon after they began, in a row. Any thread may use it."""

    def __init__(self, *, limit: int, within_seconds: float) -> None:
        """`limit` 0: any number of jobs may crash."""
        self._limit = limit
        self._within_seconds = within_seconds
        self._crashes = 0
        self._last_error = ""

    def count_end(self, *, crashed: bool, after_seconds: float, error: str = "") -> None:
        """Count a job that has ended here."""
        if crashed and after_seconds <= self._within_seconds:
            self._crashes += 1
            self._last_error = error
        else:
            self._crashes = 0

    @property
    def finding(self) -> str | None:
        """The reason why this worker should take no more jobs; None while it may."""
        if not self._limit or self._crashes < self._limit:
            return None
        last = f" The last: {self._last_error.splitlines()[0][:150].rstrip('.')}." if self._last_error else ""
        return f"{self._crashes} jobs in a row crashed here within {self._within_seconds:g} s each.{last}"

    def check(self) -> None:
        """Raise UnhealthyWorkerError if this worker should take no further job."""
        finding = self.finding
        if finding is not None:
            raise UnhealthyWorkerError(
                f"This worker takes no more jobs: {finding} Fix the cause and restart the worker;"
                " `schedy retry` runs the crashed jobs again. crash_limit in the settings changes the number."
            )
