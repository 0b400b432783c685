"""Which plots there are, and which of them an experiment has."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

from schedy.errors import NotFoundError
from schedy.results.ask import Ask
from schedy.results.plots.data import Measure, Plot, curve_names, curves, front, history, measures
from schedy.results.plots.hyperparameters import importance, parallel, slices
from schedy.results.plots.source import Source, read_source
from schedy.results.plots.timeline import timeline
from schedy.search.definition import Definition
from schedy.wire.records import ExperimentRecord

KINDS = ("history", "parallel", "importance", "curves", "slice", "timeline")
_MOST_CURVES = 4


@dataclass(frozen=True)
class Chosen:
    """The plots that could be made, and why others could not."""

    plots: list[Plot]
    missing: list[str]


def make_plots(ask: Ask, experiment: ExperimentRecord, definition: Definition, kinds: Sequence[str]) -> Chosen:
    """Read an experiment and make the plots of these kinds, several if it has several objectives.

    Raises NotFoundError, saying why, if there is none.
    """
    source = read_source(ask, experiment, definition, curves="curves" in kinds, attempts="timeline" in kinds)
    plots: list[Plot] = []
    missing: dict[str, None] = {}
    for make in (make for kind in kinds for make in makers(source, kind)):
        try:
            plots.append(make())
        except NotFoundError as error:
            missing[str(error)] = None
    if not plots:
        raise NotFoundError(next(iter(missing)))
    return Chosen(plots, list(missing))


def makers(source: Source, kind: str) -> Iterator[Callable[[], Plot]]:
    """Yield functions that make the plots of a kind."""
    if kind == "timeline":
        yield partial(timeline, source)
    elif kind == "curves":
        names = curve_names(source) or [measures(source.definition)[0].name]
        yield from (partial(curves, source, name) for name in names[:_MOST_CURVES])
    else:
        several = measures(source.definition)
        if kind == "history" and len(several) > 1:
            yield partial(front, source)
        yield from (partial(_OF_MEASURE[kind], source, measure) for measure in several)


_OF_MEASURE: dict[str, Callable[[Source, Measure], Plot]] = {
    "history": history,
    "parallel": parallel,
    "importance": importance,
    "slice": slices,
}
