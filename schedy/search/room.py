"""Whether the conditions among hyperparameters leave room for a search."""

from schedy.errors import InvalidValueError
from schedy.search.definition import Definition
from schedy.search.points import Points
from schedy.search.seeds import generator

MOST_LISTED = 100_000
"""Points of a space that are listed to find those that are allowed."""
_DRAWS = 1000
_LEAST_KEPT = 2
"""Points, of that many drawn at random, that have to keep the conditions."""


def check_room(definition: Definition) -> None:
    """Raise InvalidValueError if hardly a point of the space keeps the conditions of the definition."""
    conditions = definition.conditions
    if not conditions:
        return
    space = definition.space()
    drawn = generator(definition, 0, "room")
    points = (space.draw(lambda _name, each: each.at(drawn.random())) for _ in range(_DRAWS))
    kept = sum(all(condition.holds(point) for condition in conditions) for point in points)
    if kept >= _LEAST_KEPT:
        return
    listed = all_points(definition) if (space.count or MOST_LISTED + 1) <= MOST_LISTED else None
    if listed is not None and any(
        all(condition.holds(listed.at(number)) for condition in conditions) for number in range(listed.count)
    ):
        return
    raise InvalidValueError(
        f"Hardly a point keeps the conditions ({'; '.join(definition.where)}): {kept} of {_DRAWS:,} drawn at random."
        " Loosen them, or narrow the hyperparameters."
    )


def all_points(definition: Definition) -> Points:
    """Return the points of a finite space."""
    values = {name: each.grid(None) for name, each in definition.space().parameters.items()}
    return Points(definition.hyperparameters, values)
