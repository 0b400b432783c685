"""Models of a definition: their base class, and errors that name the setting at fault."""

from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import ErrorDetails

from schedy.lazy_models import LazyModel
from schedy.search.errors import DefinitionError, Setting

M = TypeVar("M", bound=BaseModel)


class Part(LazyModel):
    """A part of a definition: frozen, and strict about unknown fields."""

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True, ser_json_inf_nan="constants")


def validated(model: type[M], values: Any, *, where: str = "", of_algorithm: bool = False) -> M:
    """Return the model with these values. Raises DefinitionError naming the first fault, after the text `where`.

    Fields are settings of a search if there is no `where`, and options of its algorithm if `of_algorithm`.
    """
    try:
        return model.model_validate(values)
    except ValidationError as error:
        fault = error.errors(include_url=False, include_input=False)[0]
    name = str(fault["loc"][0]) if fault["loc"] else ""
    field = name if where and not of_algorithm else Setting(name, of_algorithm=of_algorithm)
    raise DefinitionError(where, *_message(fault, model, field))


def _message(fault: ErrorDetails, model: type[BaseModel], field: str | Setting) -> list[str | Setting]:
    name, *inner = map(str, fault["loc"]) if fault["loc"] else [""]
    place: list[str | Setting] = [field, *(f".{part}" for part in inner)]
    if fault["type"] == "extra_forbidden":
        known = ", ".join(model.model_fields) or "none"
        return [*place, " is unknown."] if inner else [f"there is no setting {name!r}; there are: {known}."]
    if fault["type"] == "missing":
        return [*place, " is missing."]
    if fault["type"] == "value_error":
        text = str(fault["ctx"]["error"]) if "ctx" in fault else fault["msg"]
        if name == "where":  # the text quotes which of the conditions it is
            place = [field]
        return [text] if name in ("", "hyperparameters") else [*place, f": {text.removesuffix('.')}."]
    return [*place, f": {fault['msg']}."]
