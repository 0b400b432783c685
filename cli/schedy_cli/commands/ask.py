"""`schedy ask`."""

import click

from schedy.errors import InvalidValueError, NoJobError, SchedyError
from schedy.search.algorithms import MANUAL
from schedy.search.definition import read_definition
from schedy.settings import Settings
from schedy.values_text import format_name, format_value
from schedy.wire.records import ExperimentRecord
from schedy.wire.values import Values, plain_values
from schedy_cli.context import has_store, reader_for, settings_of
from schedy_cli.interruption import schedy_words
from schedy_cli.parsing.option_groups import JSON_OPTION
from schedy_cli.printing.messages import print_message
from schedy_cli.printing.text import JsonForm, json_line
from schedy_cli.reading import find_experiment


@click.command("ask", epilog="Example: schedy ask MinimizeRandom")
@click.argument("name")
@JSON_OPTION
@click.pass_context
def ask_command(ctx: click.Context, name: str, *, as_json: JsonForm | None) -> None:
    """Print the hyperparameters that the search NAME would try next, and make no job of them.

    They follow from the jobs as they are now. `schedy push` runs them, and `schedy tell` stores what came of them
    elsewhere. `schedy push NAME --from -` reads the JSON.
    """
    settings = settings_of(ctx)
    if not has_store(settings):
        raise click.UsageError("This command reads the store itself: run it beside it, or set store_url.")
    with reader_for(settings) as reader:
        experiment = find_experiment(reader, name)
    if experiment.scheduler == MANUAL:
        raise click.UsageError(f"{name} is a manual experiment: its users push its jobs.")
    hyperparameters = _proposed(settings, experiment)
    if as_json is not None:
        click.echo(json_line({"hyperparameters": hyperparameters}, as_json))
        return
    for key, value in hyperparameters.items():
        click.echo(f"{format_name(key)}: {format_value(value)}")
    words = [word for key, value in hyperparameters.items() for word in (key, format_value(value))]
    results = [word for each in read_definition(experiment.settings).objectives for word in (each.result, "VALUE")]
    push = schedy_words("push", name, "-p", *words)
    tell = schedy_words("tell", name, "-p", *words, "-r", *(results or ["RESULT", "VALUE"]))
    print_message(f"No job was made. To run it: `{push}`. To give its result: `{tell}`.")


def _proposed(settings: Settings, experiment: ExperimentRecord) -> Values:
    """Return what the search suggests. Raises NoJobError if it suggests nothing, and SchedyError for its failure."""
    from schedy_store.schema.engine import Store  # noqa: PLC0415 - imports SQLAlchemy
    from schedy_store.search.catalogue import missing_requirement  # noqa: PLC0415
    from schedy_store.search.protocol import Exhausted, NotYet  # noqa: PLC0415
    from schedy_store.search.search import propose  # noqa: PLC0415

    missing = missing_requirement(experiment.scheduler, read_definition(experiment.settings))
    if missing is not None:
        raise InvalidValueError(missing)
    store = Store.open(settings.effective_store_url, read_only=True)
    try:
        suggestion = propose(store, experiment.uid)
    except SchedyError:
        raise
    except Exception as error:  # an algorithm may raise anything
        raise InvalidValueError(f"The search failed: {type(error).__name__}: {error}") from error
    finally:
        store.close()
    if isinstance(suggestion, NotYet):
        raise NoJobError(experiment.name, "the search waits for running jobs to end.")
    if isinstance(suggestion, Exhausted):
        raise NoJobError(experiment.name, suggestion.reason)
    return plain_values(suggestion.hyperparameters)
