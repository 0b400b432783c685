"""The refusal for a name that no experiment has: reads need it, without all that changes experiments."""

import difflib

from sqlalchemy import Connection, select

from schedy.wire.answers import Refusal
from schedy_store.schema.tables import Experiment

_NAMES_COMPARED = 2000


def missing_experiment(sql: Connection, name: str) -> Refusal:
    """Return the refusal for an unknown name, with the names that are close to it."""
    names = list(sql.scalars(select(Experiment.name).order_by(Experiment.pk.desc()).limit(_NAMES_COMPARED)))
    close = difflib.get_close_matches(name, names, n=3, cutoff=0.5)
    hint = f" Did you mean {' or '.join(repr(found) for found in close)}?" if close else ""
    if not names:
        hint = " There is none yet; `schedy add NAME manual` makes one."
    return Refusal(code="not_found", reason=f"There is no experiment {name!r}.{hint}")
