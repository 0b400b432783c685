"""Parameters of the classes of experiments, each written once: keyword, type, default and documentation.

`experiment_class` makes the constructor of a class from its fields, as `dataclasses.dataclass` does, so that help(),
editors and type checkers know all keywords. A field is one of

- `Setting` and `Option`: a setting of the definition, which is an attribute of the experiment afterwards;
- a plain field: an attribute of the experiment itself;
- an `InitVar`: a parameter of the constructor alone.
"""

import inspect
import textwrap
from collections.abc import Callable, Mapping
from dataclasses import InitVar, dataclass, field
from types import EllipsisType
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast, dataclass_transform, get_args, get_origin, overload

from schedy.search.definition import Definition
from schedy.search.options import Options

if TYPE_CHECKING:
    from schedy.experiments import Experiment

R = TypeVar("R")
W = TypeVar("W")
C = TypeVar("C", bound=type)

_DOC = "doc"
_GIVEN = "_given"
_COLUMNS = 100


def documented(text: str) -> Mapping[str, str]:
    """Return the `metadata` of a field with this documentation."""
    return {_DOC: text}


class Setting(Generic[R, W]):
    """A setting of the definition: the constructor takes a W, and the attribute is an R."""

    def __init__(
        self,
        doc: str,
        *,
        read: Callable[[Definition], R],
        write: Callable[[W], Any] | None = None,
        default: W | EllipsisType = ...,
    ) -> None:
        """`write` returns a value in the form of a definition. Without it, the attribute can only be read.

        Without a default, the constructor requires the setting.
        """
        self.__doc__ = doc
        self.default = default
        self._read = read
        self._write = write
        self.name = ""

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    @overload
    def __get__(self, experiment: None, owner: type) -> W: ...

    @overload
    def __get__(self, experiment: "Experiment", owner: type) -> R: ...

    def __get__(self, experiment: "Experiment | None", owner: type) -> R | W:
        """Return the setting of an experiment; of a class the default, which `dataclass` looks for."""
        if experiment is not None:
            return self._read(experiment.definition)
        if isinstance(self.default, EllipsisType):
            raise AttributeError(f"{self.name} has no default")
        return self.default

    def __set__(self, experiment: "Experiment", value: W) -> None:
        """Keep a value for the definition while the experiment is made; change the definition afterwards."""
        attributes = vars(experiment)
        if "_definition" not in attributes:
            self.keep(attributes.setdefault(_GIVEN, {}), value)
        elif self._write is None:
            raise AttributeError(f"{self.name} cannot be changed once the experiment is made. Make another experiment.")
        else:
            experiment.redefine(**{self.name: self._write(value)})

    def keep(self, given: dict[str, Any], value: W) -> None:
        """Add a value to those that the constructor was given."""
        given[self.name] = value


def take_given(experiment: "Experiment") -> dict[str, Any]:
    """Return the values of settings that the constructor was given, by their names, and forget them."""
    given: dict[str, Any] = vars(experiment).pop(_GIVEN, {})
    return given


class Option(Setting[R, W]):
    """An option of an algorithm. Default and documentation are those of the model of its options."""

    def __init__(
        self, model: type[Options], name: str, *, default: Any = ..., form: Callable[[W], Any] | None = None
    ) -> None:
        """`default` replaces the model's where that is JSON of an object; `form` returns a value as JSON."""
        information = model.model_fields[name]
        if default is ...:
            default = None if information.is_required() else information.default
        super().__init__(
            information.description or "",
            default=default,
            read=lambda definition: cast("R", getattr(model.read(definition.options), name)),
        )
        self._form = form

    def keep(self, given: dict[str, Any], value: W) -> None:
        if value != self.default:
            given.setdefault("options", {})[self.name] = value if self._form is None else self._form(value)


@dataclass_transform(eq_default=False, field_specifiers=(field,))
def experiment_class(kind: C) -> C:
    """Give a class of experiments its constructor, and a docstring with all parameters."""
    made: Any = dataclass(eq=False, repr=False, match_args=False)(kind)
    hints = made.__init__.__annotations__
    hints.update({name: _accepted_type(hint) for name, hint in hints.items()})
    made.__doc__ = _DocumentedParameters(made.__doc__ or "")
    return cast("C", made)


class _DocumentedParameters:
    """The docstring of a class, made when it is read: few programs ask for it."""

    def __init__(self, text: str) -> None:
        self._text = text

    def __get__(self, _experiment: object, owner: type) -> str:
        return f"{inspect.cleandoc(self._text)}\n\nParameters:\n{_parameters_text(owner)}"


def _accepted_type(hint: Any) -> Any:
    """Return the type that the constructor accepts for a field."""
    if isinstance(hint, InitVar):
        return hint.type
    if isinstance(get_origin(hint), type) and issubclass(get_origin(hint), Setting):
        return get_args(hint)[1]
    return hint


def _parameters_text(kind: type) -> str:
    """Return a line for each parameter, keywords of a class before those of its base classes."""
    parameters = list(inspect.signature(kind).parameters.values())
    positional = [each.name for each in parameters if each.kind is not each.KEYWORD_ONLY]
    keywords = [each.name for each in parameters if each.kind is each.KEYWORD_ONLY]
    own_first = [name for base in kind.__mro__ for name in keywords if name in inspect.get_annotations(base)]
    lines = (f"{name}: {_documentation(kind, name)}" for name in dict.fromkeys([*positional, *own_first]))
    return "\n".join(textwrap.fill(line, _COLUMNS, initial_indent="  ", subsequent_indent="      ") for line in lines)


def _documentation(kind: Any, name: str) -> str:
    setting = inspect.getattr_static(kind, name, None)
    if isinstance(setting, Setting):
        return setting.__doc__ or ""
    text: str = kind.__dataclass_fields__[name].metadata[_DOC]
    return text
