"""The command line and the environment of a trial: the user's program with the hyperparameters of a job."""

import json
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

Style = Literal["dash", "underscore", "hydra", "env", "json"]
STYLES: tuple[Style, ...] = get_args(Style)

JOB_TOKENS = ("experiment", "job", "attempt", "dir", "parent_dir", "slot", "hyperparameters")
"""Tokens that stand for something of the job; a hyperparameter of the same name goes before."""
_TOKEN = re.compile(r"\{\{([^\W\d][\w.-]*)\}\}|\{([^\W\d][\w.-]*)\}|%([ejh%])")
_PERCENT = {"e": "experiment", "j": "job", "h": "hyperparameters"}
_HYDRA_BARE = re.compile(r"[\w./:+-]+")
_HYDRA_OTHER = re.compile(r"null|true|false|[+-]?(inf|nan|[\d_.]+(e[+-]?\d+)?)", re.IGNORECASE)
"""Texts that Hydra would read as nothing, as a truth value or as a number."""
_NO_NAME = re.compile(r"\W")


@dataclass(frozen=True)
class Trial:
    """What the command line of a trial is made of. `slot` numbers the trials that run at once, from 0."""

    experiment: str
    job: str
    attempt: int
    slot: int
    folder: Path
    hyperparameters: Mapping[str, Any]
    parent_folder: Path | None = None
    """The folder of the job that this one goes on from (population based training), if it is on this machine."""

    def has(self, name: str) -> bool:
        """Return True if a token of that name stands for something."""
        if name in self.hyperparameters:
            return True
        return name in JOB_TOKENS and (name != "parent_dir" or self.parent_folder is not None)

    def token(self, name: str) -> str:
        """Return what the token of that name in `JOB_TOKENS` stands for."""
        match name:
            case "dir":
                return str(self.folder)
            case "parent_dir":
                return str(self.parent_folder)
            case "hyperparameters":
                return json.dumps(self.hyperparameters)
        return str(getattr(self, name))


class CommandLine:
    """A program with its arguments, in which tokens such as ``{lr}`` stand for values of a job.

    Hyperparameters that stand nowhere are added behind, in a style:

    - dash: ``--batch-size 32``, underscore: ``--batch_size 32``, hydra: ``batch_size=32``
    - env: as variables of the environment, json: as one JSON object
    """

    def __init__(self, words: Sequence[str], style: Style = "dash") -> None:
        self._words = list(words)
        self._style = style
        self.tokens = [name for word in words for name in _tokens_in(word)]
        """The names of the tokens, without braces."""

    def unknown(self, hyperparameters: Collection[str]) -> list[str]:
        """Return the tokens that stand for nothing."""
        return [name for name in self.tokens if name not in hyperparameters and name not in JOB_TOKENS]

    def words(self, trial: Trial) -> list[str]:
        """Return the words to run. A hyperparameter that the job lacks is left out with the option before it."""
        words: list[str] = []
        for word in self._words:
            names = _tokens_in(word)
            if all(map(trial.has, names)):
                words.append(_TOKEN.sub(lambda token: _replaced(token, trial), word))
            elif word == f"{{{names[0]}}}" and words and words[-1].startswith("-"):
                words.pop()
        return words + self._added(trial)

    def _added(self, trial: Trial) -> list[str]:
        if "hyperparameters" in self.tokens and "hyperparameters" not in trial.hyperparameters:
            return []
        if self._style == "json":
            return [json.dumps(trial.hyperparameters)]
        if self._style == "env":
            return []
        left = {name: value for name, value in trial.hyperparameters.items() if name not in self.tokens}
        return [word for name, value in left.items() for word in self._option(name, value)]

    def _option(self, name: str, value: Any) -> list[str]:
        if self._style == "hydra":
            return [f"{name}={_hydra_value(value)}"]
        option = "--" + (name.replace("_", "-") if self._style == "dash" else name)
        word = value_word(value)
        return [f"{option}={word}"] if word.startswith("-") else [option, word]  # argparse takes -1e-5 for an option

    def environment(self, trial: Trial) -> dict[str, str]:
        """Return the variables that the program gets in addition to those of this process."""
        own = {
            _NO_NAME.sub("_", name): value_word(value)
            for name, value in (trial.hyperparameters.items() if self._style == "env" else ())
        }
        if trial.parent_folder is not None:
            own["SCHEDY_PARENT_DIR"] = str(trial.parent_folder)
        return own | {
            "SCHEDY_EXPERIMENT": trial.experiment,
            "SCHEDY_JOB": trial.job,
            "SCHEDY_ATTEMPT": str(trial.attempt),
            "SCHEDY_SLOT": str(trial.slot),
            "SCHEDY_DIR": str(trial.folder),
            "SCHEDY_HYPERPARAMETERS": json.dumps(trial.hyperparameters),
        }


def value_word(value: Any) -> str:
    """Return a value as a word of a command line: texts as they are, everything else as JSON."""
    return value if isinstance(value, str) else json.dumps(value)


def _hydra_value(value: Any) -> str:
    """Return a value in Hydra's grammar of overrides, where texts with special characters are quoted."""
    if not isinstance(value, str):
        return json.dumps(value)
    if _HYDRA_BARE.fullmatch(value) and not _HYDRA_OTHER.fullmatch(value):
        return value
    quoted = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{quoted}'"


def _tokens_in(word: str) -> list[str]:
    return [name for token in _TOKEN.finditer(word) if (name := token[2] or _PERCENT.get(token[3] or ""))]


def _replaced(token: re.Match[str], trial: Trial) -> str:
    escaped, name, percent = token.groups()
    if escaped:
        return f"{{{escaped}}}"
    if percent:
        return "%" if percent == "%" else trial.token(_PERCENT[percent])
    return value_word(trial.hyperparameters[name]) if name in trial.hyperparameters else trial.token(name)
