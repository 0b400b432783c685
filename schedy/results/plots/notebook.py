"""The plots of an experiment as figures of plotly, which a notebook shows."""

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from schedy.close_names import did_you_mean
from schedy.errors import NotFoundError
from schedy.results.ask import Ask
from schedy.results.html import experiment_html
from schedy.results.packages import needed
from schedy.results.plots.data import Dots, Measure, Plot, curve_names, curves, front, history, measures
from schedy.results.plots.hyperparameters import importance, parallel, slices
from schedy.results.plots.plotly import figure
from schedy.results.plots.source import Source, read_source
from schedy.results.plots.timeline import timeline
from schedy.search.definition import read_definition
from schedy.wire.requests import GetExperiments, GetOverview

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

_SKETCHED = 100
"""Jobs that are read for a sketch of the best so far, beside those that were the best."""


class Plots:
    """Plots of an experiment, each read anew: ``experiment.plot.history()`` returns a figure of plotly.

    `objective` is needed only to choose one of several. Each raises NotFoundError, saying why, if there is nothing to
    plot, and MissingPackageError without plotly.
    """

    def __init__(self, ask: Ask, uid: str) -> None:
        self._ask = ask
        self._uid = uid

    def history(self, objective: str | None = None) -> "Figure":
        """Return the value of each job and the best so far; the Pareto front of several objectives."""
        source = self._source()
        if objective is None and len(source.definition.objectives) > 1:
            return _shown(partial(front, source))
        return _shown(partial(history, source, _measure(source, objective)))

    def parallel(self, objective: str | None = None) -> "Figure":
        """Return the parallel coordinates of all hyperparameters."""
        source = self._source()
        return _shown(partial(parallel, source, _measure(source, objective)))

    def importance(self, objective: str | None = None) -> "Figure":
        """Return how much each hyperparameter matters alone."""
        source = self._source()
        return _shown(partial(importance, source, _measure(source, objective)))

    def slice(self, objective: str | None = None) -> "Figure":
        """Return the values over each hyperparameter."""
        source = self._source()
        return _shown(partial(slices, source, _measure(source, objective)))

    def curves(self, name: str | None = None) -> "Figure":
        """Return the learning curves of all jobs, of the first objective or of another name."""
        source = self._source(curves=True)
        names = curve_names(source)
        if name is not None and names and name not in names:
            raise NotFoundError(f"{source.name} has no learning curve of {name!r}. {did_you_mean(name, names)}")
        name = name or (names[0] if names else _measure(source, None).name)
        return _shown(partial(curves, source, name))

    def timeline(self) -> "Figure":
        """Return what each worker did when."""
        return _shown(partial(timeline, self._source(attempts=True)))

    def _source(self, *, curves: bool = False, attempts: bool = False) -> Source:
        needed("plotly.graph_objects", what="A plot", extra="plot")
        experiment = self._ask(GetExperiments(uid=self._uid)).experiments[0]
        definition = read_definition(experiment.settings)
        return read_source(self._ask, experiment, definition, curves=curves, attempts=attempts)


def _shown(make: Callable[[], Plot]) -> "Figure":
    from plotly.graph_objects import Figure  # noqa: PLC0415 - of the extra `plot`

    return Figure(figure(make()))


def shown_experiment(ask: Ask, uid: str) -> str:
    """Read an experiment and return it as HTML."""
    overview = ask(GetOverview(experiment_uid=uid))
    definition = read_definition(overview.experiment.settings)
    best = Dots()
    if len(definition.objectives) == 1 and overview.best:
        source = read_source(ask, overview.experiment, definition, curves=False, attempts=False, drawn=_SKETCHED)
        best = history(source, measures(definition)[0]).best
    return experiment_html(overview, definition, best)


def _measure(source: Source, objective: str | None) -> Measure:
    known = {measure.name: measure for measure in measures(source.definition)}
    if objective is None:
        return next(iter(known.values()))
    if objective not in known:
        raise NotFoundError(f"{source.name} has no objective {objective!r}. {did_you_mean(objective, known)}")
    return known[objective]
