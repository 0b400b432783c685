"""The state of one search between two looks at the store."""

from dataclasses import dataclass, field

from schedy.search.definition import Definition, read_definition
from schedy.wire.values import load_values
from schedy_store.search.wire import WantedNumber
from schedy_store.service.searches.waiting_workers import WaitingWorkers


@dataclass(frozen=True, slots=True)
class NextQuestion:
    """Suggestions to ask for after the commit, and the process to ask."""

    process: str
    wanted: list[WantedNumber]


@dataclass(frozen=True, slots=True)
class OpenQuestion:
    """A question that a process has not answered yet. Each process answers in the order of the numbers."""

    number: int
    process: str
    asked_at: float


@dataclass(slots=True)
class SearchState:
    """The service's memory of a search. Times are monotonic seconds. All of it may be lost: the store decides."""

    pk: int
    """Primary key of the experiment."""
    waiting: WaitingWorkers = field(default_factory=WaitingWorkers)
    next_question: NextQuestion | None = None
    open_question: OpenQuestion | None = None
    not_yet_at: int | None = None
    """Number of jobs that had ended when the algorithm answered NotYet. It is asked again when more have ended."""
    has_asked_idle: bool = False
    """No job was queued or running when the algorithm answered NotYet."""
    retry_at: float = 0.0
    """When an algorithm that has failed is asked again."""
    failures: int = 0
    """How often in a row the algorithm has failed."""
    is_overdue: bool = False
    """The process was killed because its answer to this search took too long."""
    has_lost_process: bool = False
    """The process has died once while it worked for this search."""
    _definition: tuple[str, Definition] | None = None
    """The definition, with the settings from which it was read."""

    @property
    def is_idle(self) -> bool:
        """Return whether no process works for the search, or is to."""
        return self.next_question is None and self.open_question is None

    def definition(self, settings: str) -> Definition:
        """Return the definition in the settings of the experiment."""
        if self._definition is None or self._definition[0] != settings:
            self._definition = (settings, read_definition(load_values(settings)))
        return self._definition[1]

    def note_answer(self) -> None:
        """Note that the open question was answered: the process did not die over it."""
        self.open_question = None
        self.has_lost_process = False

    def blame(self) -> bool:
        """Note that the process died while it worked for this search; return whether that is the search's fault.

        It is when the answer took too long, or when it is the second time: something else may kill a process once.
        """
        is_to_blame = self.has_lost_process or self.is_overdue
        self.has_lost_process = self.has_lost_process or not self.is_overdue
        self.is_overdue = False
        return is_to_blame
