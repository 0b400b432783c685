"""Results and learning curves in the output of a program.

A line is read if it consists of numbers with their names (``loss 0.3, val_acc=0.97``), if it is a JSON object, if it
names an objective, or if it matches a pattern of the user's. All other text is left alone: words before a number in a
sentence are no results.
"""

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from schedy.wire.values import LONGEST_NAME
from schedy_cli.running.output_lines import plain

Values = dict[str, float]

MOST_NAMES = 1000
"""Names of results that are kept: a program that makes up names must not fill the store."""
_MOST_DIGITS = 18
RESULTS_HEADING = b"--- RESULTS ---"

_NAME = rb"[A-Za-z_\x80-\xff][\w./@%\x80-\xff-]*+"
_NUMBER = rb"[-+]?(?:\d++(?:\.\d*+)?|\.\d++)(?:[eE][-+]?\d++)?|[-+]?(?i:nan|inf(?:inity)?)"
_END = rb"(?![\w\x80-\xff]|[./:,-]\d)"
_START = rb"(?<![\w./@%\x80-\xff-])"
_STEP = rb"(?i:step|epoch|iteration|iter)s?[\"']?[\s:=#(\[]{0,3}(\d++)(?:\.0+)?(?![\w]|[.,]\d)"
_PAIR = rb"(?P<name>%b)[\"']?(?:\s*[:=]\s*|\s++)(?P<number>%b)%%?%b" % (_NAME, _NUMBER, _END)
_ITEM = rb"(?>%b(?:\s*/\s*\d++|%%)?|%b)" % (
    _STEP.replace(rb"(\d++)", rb"\d++"),
    re.sub(rb"\(\?P<\w+>", b"(?:", _PAIR),
)
_GAP = rb"[\s,;|:()\[\]{}<>\"'-]++"

_PAIRS = re.compile(_START + _PAIR)
_SIGNED_PAIRS = re.compile(_START + rb"(?P<name>%b)[\"']?\s*[:=]\s*(?P<number>%b)%%?%b" % (_NAME, _NUMBER, _END))
_ITEMS = re.compile(rb"[\s(\[{<\"'-]*+%b(?:%b%b)*+[\s,;|.)\]}>\"'-]*+" % (_ITEM, _GAP, _ITEM))
_STEPS = re.compile(_START + _STEP)
_BLOCK_LINE = re.compile(r"\s*(?P<name>[^\s:=]+)\s*(?:[:=]|\s)\s*(?P<value>\S.*?)\s*")

_STEP_NAMES = ("step", "epoch", "iteration", "iter")
"""Names of steps, the most exact first."""


class Findings:
    """What was found in the output of one trial so far. Lives in one thread."""

    def __init__(self, objectives: Sequence[str], patterns: Sequence[re.Pattern[str]] = ()) -> None:
        self.results: dict[str, Any] = {}
        """The last value of each name."""
        self.broken_json: str | None = None
        """The first line that begins as JSON and is none."""
        self._objectives = {name: _pattern_of(name) for name in objectives}
        self._patterns = list(patterns)
        self._own = {name for pattern in patterns for name in pattern.groupindex} - {"step"}
        self._marks = [name.encode() for name in objectives if name not in self._own]
        self._points: dict[int, Values] = {}
        self._count = 0
        self._reads: Callable[[bytes], None] = self._read_line

    def read(self, lines: Iterable[bytes]) -> None:
        """Read further lines."""
        for line in lines:
            self._reads(line)

    def take_points(self) -> dict[int, Values]:
        """Return the points of the curve that were found since the last call, by step."""
        points, self._points = self._points, {}
        return points

    @property
    def missing(self) -> list[str]:
        """The objectives that were not found."""
        return [name for name in self._objectives if name not in self.results]

    def _read_line(self, raw: bytes) -> None:
        line = plain(raw)
        if self._patterns:
            self._match(line)
        if line.startswith((b'{"', b"{ ")):
            self._read_json(line)
        elif any(mark in line for mark in self._marks) and self._read_objective(line):
            return
        elif _ITEMS.fullmatch(line):
            found = _numbers(_PAIRS.finditer(line))
            self._take(found, _step_in(line), is_point=not self._objectives)
        elif line.strip() == RESULTS_HEADING:
            self._reads = self._read_block

    def _read_objective(self, line: bytes) -> bool:
        """Take the numbers of a line that names an objective; return False if that has no number there."""
        found = {name: pattern.search(line) for name, pattern in self._objectives.items() if name not in self._own}
        values = {name: _number(match["number"]) for name, match in found.items() if match}
        if not values:
            return False
        others = (_PAIRS if _ITEMS.fullmatch(line) else _SIGNED_PAIRS).finditer(line)
        self._take(_numbers(others) | values, _step_in(line), is_point=True)
        return True

    def _read_json(self, line: bytes) -> None:
        try:
            content = json.loads(line, parse_int=lambda word: _number(word.encode()))
        except (ValueError, RecursionError):
            if self.broken_json is None:
                self.broken_json = line.decode("utf-8", "replace")
            return
        values = {name: value for name, value in _flat(content, "") if _is_number(value)}
        self._take(values, _step_of(values), is_point=not self._objectives or bool(self._objectives.keys() & values))

    def _match(self, line: bytes) -> None:
        text = line.decode("utf-8", "replace")
        for pattern in self._patterns:
            match = pattern.search(text)
            if match is None:
                continue
            groups = {name: word for name, word in match.groupdict().items() if word is not None}
            step = _whole(groups.pop("step", None))
            values = {name: _value(word) for name, word in groups.items()}
            self._keep(values)
            numbers = {name: value for name, value in values.items() if _is_number(value)}
            if self._objectives.keys() & numbers or (not self._objectives and step is not None):
                self._add_point(numbers, step)

    def _read_block(self, raw: bytes) -> None:
        """Take a line below the heading of a block of results: a JSON object, or a name and a value."""
        line = plain(raw).decode("utf-8", "replace").strip()
        if line.startswith("---"):
            self._reads = self._read_line
        elif line.startswith("{"):
            self._keep(_object(line))
        elif match := _BLOCK_LINE.fullmatch(line):
            self._keep({match["name"]: _json_value(match["value"])})

    def _take(self, values: Mapping[str, float], step: int | None, *, is_point: bool) -> None:
        """Keep numbers that were found without the user's patterns, which alone read the names in them."""
        kept = {
            name: value
            for name, value in values.items()
            if name not in self._own and (name in self._objectives or name.lower() not in _STEP_NAMES)
        }
        self._keep(kept)
        if is_point and kept and (self._objectives or step is not None):
            self._add_point(kept, step)

    def _keep(self, values: Mapping[str, Any]) -> None:
        for name, value in values.items():
            has_room = name in self.results or len(self.results) < MOST_NAMES or name in self._objectives
            if has_room and _is_storable(name):
                self.results[name] = value

    def _add_point(self, values: Mapping[str, float], step: int | None) -> None:
        if step is None:
            self._count += 1
            step = self._count
        storable = {name: value for name, value in values.items() if _is_storable(name)}
        self._points.setdefault(step, {}).update(storable)


def names_in(text: str) -> list[str]:
    """Return the names that stand before numbers in a text, each once, as a reader would look for them."""
    found = _PAIRS.finditer(plain(text.encode()))
    return list(dict.fromkeys(match["name"].decode("utf-8", "replace") for match in found))


def _pattern_of(name: str) -> re.Pattern[bytes]:
    start = _START if re.match(r"\w", name) else b""
    return re.compile(
        rb"%b%b[\"']?(?:\s*[:=]\s*|\s++)(?P<number>%b)%%?%b" % (start, re.escape(name.encode()), _NUMBER, _END)
    )


def _numbers(matches: Iterable[re.Match[bytes]]) -> Values:
    """Return the numbers by name; of two with one name the first: ``val_acc 0.95 (best val_acc 0.97)``."""
    found: Values = {}
    for match in matches:
        found.setdefault(match["name"].decode("utf-8", "replace"), _number(match["number"]))
    return found


def _number(word: bytes) -> float:
    try:
        return int(word) if len(word) <= _MOST_DIGITS else float(word)
    except ValueError:
        return float(word)


def _is_storable(name: str) -> bool:
    """Return True for a name that results may have: not too long, and of characters that UTF-8 has."""
    return 0 < len(name) <= LONGEST_NAME and (name.isascii() or not any("\ud800" <= c <= "\udfff" for c in name))


def _step_in(line: bytes) -> int | None:
    """Return the step that a line names, the most exact if it names several."""
    found: dict[str, int] = {}
    for match in _STEPS.finditer(line):
        found.setdefault(match[0][:4].decode().lower(), _whole(match[1].decode()) or 0)
    return next((found[name[:4]] for name in _STEP_NAMES if name[:4] in found), None)


def _step_of(values: Mapping[str, Any]) -> int | None:
    by_name = {name.lower(): value for name, value in values.items()}
    return next((step for name in _STEP_NAMES if (step := _whole(by_name.get(name))) is not None), None)


def _whole(value: Any) -> int | None:
    """Return a step as a whole number, None if it is none."""
    try:
        number = float(value)
        return int(number) if number == int(number) and abs(number) <= 2**53 else None
    except (TypeError, ValueError, OverflowError):
        return None


def _flat(content: Any, prefix: str) -> Iterable[tuple[str, Any]]:
    """Return the values of an object, those of objects in it as ``metrics.val_acc``."""
    if not isinstance(content, dict):
        return
    for name, value in content.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _value(word: str) -> Any:
    """Return a word as a number if it is one, without a percent sign, else as text."""
    try:
        return _number(word.strip().removesuffix("%").encode())
    except ValueError:
        return word


def _json_value(word: str) -> Any:
    try:
        return json.loads(word)
    except (ValueError, RecursionError):
        return _value(word)


def _object(text: str) -> dict[str, Any]:
    content = _json_value(text)
    return content if isinstance(content, dict) else {}
