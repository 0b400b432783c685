"""Conditions among hyperparameters, as ``batch_size * accumulate <= 256`` or ``hidden % heads == 0``.

They are written as in Python, of which they know a small part: `ast` reads them, and a table of allowed nodes
evaluates them. So nothing in them can be run, and nothing takes long: numbers are floats.
"""

import ast
import math
import operator
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, ClassVar

from schedy.errors import InvalidValueError
from schedy.wire.values import as_float

LONGEST = 1000
"""Largest number of characters of a condition."""
_EXAMPLE = "Write one as batch_size * accumulate <= 256."

Values = Mapping[str, Any]
_Evaluate = Callable[[Values], Any]


class _AbsentError(Exception):
    """A hyperparameter is not there: the condition is not about this job."""


class _UndefinedError(Exception):
    """There is no value, as of 1 / 0."""


@dataclass(frozen=True, slots=True)
class Expression:
    """A condition."""

    text: str
    names: frozenset[str]
    """The hyperparameters that it speaks of."""
    _evaluate: _Evaluate

    def holds(self, hyperparameters: Values) -> bool:
        """Return whether it is true, or is not about these: they lack one of its names.

        It is false where it has no value, as with a division by zero or a text in a sum.
        """
        try:
            return self._evaluate(hyperparameters) is True
        except _AbsentError:
            return True
        except _UndefinedError:
            return False


@lru_cache(maxsize=1000)
def read_expression(text: str) -> Expression:
    """Return the condition that a text describes. Raises InvalidValueError naming the part that cannot be read."""
    if len(text) > LONGEST:
        raise InvalidValueError(f"A condition has at most {LONGEST} characters, not {len(text):,}.")
    compiler = _Compiler(text.strip())
    try:
        tree = _parsed(text)
        evaluate = compiler.compiled(tree)
    except (RecursionError, MemoryError):
        raise InvalidValueError(f"{text[:60]!r}... is too deeply nested for a condition.") from None
    if not isinstance(tree, ast.Compare | ast.BoolOp | ast.Name) and not _is_not(tree):
        raise InvalidValueError(f"{text!r} is a value, and no condition. {_EXAMPLE}")
    if not compiler.names:
        raise InvalidValueError(f"{text!r} speaks of no hyperparameter. {_EXAMPLE}")
    return Expression(text.strip(), frozenset(compiler.names), evaluate)


def _parsed(text: str) -> ast.expr:
    try:
        return ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError):
        raise InvalidValueError(f"{text!r} is no condition. {_EXAMPLE}") from None


def _is_not(node: ast.expr) -> bool:
    return isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not)


class _Compiler:
    """Makes of each allowed node what evaluates it; there is a method for each kind."""

    def __init__(self, text: str) -> None:
        self._text = text
        self.names: set[str] = set()

    def compiled(self, node: ast.expr) -> _Evaluate:
        """Return what evaluates a node. Raises InvalidValueError for one that is not allowed."""
        compile_node = self._NODES.get(type(node))
        evaluate = None if compile_node is None else compile_node(self, node)
        if evaluate is None:
            part = ast.get_source_segment(self._text, node) or self._text
            raise InvalidValueError(
                f"{part!r} cannot be a part of a condition. There are names of hyperparameters, numbers, texts,"
                f" comparisons, in, and, or, not, + - * / // % **, {', '.join(_FUNCTIONS)}."
            )
        return evaluate

    def _all(self, nodes: Iterable[ast.expr]) -> list[_Evaluate]:
        return [self.compiled(node) for node in nodes]

    def _name(self, node: ast.Name) -> _Evaluate:
        name = node.id
        self.names.add(name)
        return lambda values: _value(values, name)

    def _literal(self, node: ast.Constant) -> _Evaluate | None:
        if node.value is not None and not isinstance(node.value, bool | int | float | str):
            return None
        constant = _constant(node.value)
        return lambda _values: constant

    def _list(self, node: ast.List | ast.Tuple) -> _Evaluate:
        items = self._all(node.elts)
        return lambda values: [item(values) for item in items]

    def _junction(self, node: ast.BoolOp) -> _Evaluate:
        parts, joined = self._all(node.values), all if isinstance(node.op, ast.And) else any
        return lambda values: joined(_truth(part(values)) for part in parts)

    def _sign(self, node: ast.UnaryOp) -> _Evaluate | None:
        inner = self.compiled(node.operand)
        if isinstance(node.op, ast.Not):
            return lambda values: not _truth(inner(values))
        factor = {ast.USub: -1.0, ast.UAdd: 1.0}.get(type(node.op))
        return None if factor is None else lambda values: factor * _number(inner(values))

    def _arithmetic(self, node: ast.BinOp) -> _Evaluate | None:
        function = _ARITHMETIC.get(type(node.op))
        return None if function is None else _applied(function, self._all((node.left, node.right)))

    def _call(self, node: ast.Call) -> _Evaluate | None:
        function = _FUNCTIONS.get(node.func.id) if isinstance(node.func, ast.Name) else None
        return None if function is None or node.keywords else _applied(function, self._all(node.args))

    def _comparison(self, node: ast.Compare) -> _Evaluate | None:
        comparisons = [_COMPARISONS[type(op)] for op in node.ops if type(op) in _COMPARISONS]
        if len(comparisons) < len(node.ops):
            return None
        parts = self._all((node.left, *node.comparators))

        def _evaluate(values: Values) -> bool:
            found = [part(values) for part in parts]
            return all(map(lambda compare, one, other: compare(one, other), comparisons, found, found[1:]))

        return _evaluate

    _NODES: ClassVar[dict[type[ast.expr], Callable[["_Compiler", Any], _Evaluate | None]]] = {
        ast.Name: _name,
        ast.Constant: _literal,
        ast.List: _list,
        ast.Tuple: _list,
        ast.BoolOp: _junction,
        ast.UnaryOp: _sign,
        ast.BinOp: _arithmetic,
        ast.Call: _call,
        ast.Compare: _comparison,
    }


def _value(values: Values, name: str) -> Any:
    if name not in values:
        raise _AbsentError
    value = values[name]
    return _constant(value) if isinstance(value, bool | int | float) else value


def _constant(value: Any) -> Any:
    """Return a value as conditions compare it: all numbers are floats, true and false are none."""
    return value if isinstance(value, bool) or not isinstance(value, int | float) else as_float(value)


def _number(value: Any) -> float:
    if not isinstance(value, float):
        raise _UndefinedError
    return value


def _truth(value: Any) -> bool:
    if not isinstance(value, bool):
        raise _UndefinedError
    return value


def _applied(function: Callable[..., Any], parts: list[_Evaluate]) -> _Evaluate:
    def _evaluate(values: Values) -> float:
        numbers = [_number(part(values)) for part in parts]
        try:
            return _number(function(*numbers))
        except (ArithmeticError, ValueError, TypeError):
            raise _UndefinedError from None

    return _evaluate


def _ordered(compare: Callable[[Any, Any], bool]) -> Callable[[Any, Any], bool]:
    return lambda one, other: compare(_number(one), _number(other))


def _same(one: Any, other: Any) -> bool:
    """Return whether two values are equal as JSON: true is not 1, and 1 is 1.0."""
    return isinstance(one, bool) == isinstance(other, bool) and bool(one == other)


def _contains(one: Any, others: Any) -> bool:
    if not isinstance(others, list):
        raise _UndefinedError
    return any(_same(one, other) for other in others)


_ARITHMETIC: dict[type[ast.operator], Callable[[float, float], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.Pow: operator.pow,
}
_COMPARISONS: dict[type[ast.cmpop], Callable[[Any, Any], bool]] = {
    ast.Lt: _ordered(operator.lt),
    ast.LtE: _ordered(operator.le),
    ast.Gt: _ordered(operator.gt),
    ast.GtE: _ordered(operator.ge),
    ast.Eq: _same,
    ast.NotEq: lambda one, other: not _same(one, other),
    ast.In: _contains,
    ast.NotIn: lambda one, others: not _contains(one, others),
}
_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "abs": abs,
    "min": lambda *numbers: min(numbers),
    "max": lambda *numbers: max(numbers),
    "sqrt": math.sqrt,
    "log": math.log,
    "log2": math.log2,
    "log10": math.log10,
}
