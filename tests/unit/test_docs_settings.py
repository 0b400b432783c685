"""docs/settings.md lists exactly the settings that there are, with their defaults."""

import re
from pathlib import Path

import pytest

from schedy.settings import ENVIRONMENT_PREFIX, Settings

DOCUMENT = Path(__file__).parents[2] / "docs" / "settings.md"
_ROW = re.compile(
    r"^\| `(?P<name>[a-z_]+)` \| `(?P<variable>[A-Z_]+)` \| (?P<default>[^|]+) \| [^|]+ \| [^|]+ \|$", re.M
)


def rows() -> dict[str, tuple[str, str]]:
    """Variable and default of every setting in the table."""
    return {row["name"]: (row["variable"], row["default"]) for row in _ROW.finditer(DOCUMENT.read_text())}


def documented_default(field: str) -> str:
    """How the table writes a default."""
    if field == "data_dir":
        return "`~/.schedy`"
    if field == "store_url":
        return "none: SQLite, `schedy.sqlite` in `data_dir`"
    default = Settings.model_fields[field].default
    return "none" if default is None else f"`{default}`"


def test_every_setting_is_documented_once_and_nothing_else_is() -> None:
    assert list(rows()) == list(Settings.model_fields)
    assert len(_ROW.findall(DOCUMENT.read_text())) == len(Settings.model_fields)


@pytest.mark.parametrize("field", Settings.model_fields)
def test_variable_and_default_are_the_true_ones(field: str) -> None:
    assert rows()[field] == (ENVIRONMENT_PREFIX + field.upper(), documented_default(field))


def test_the_defaults_that_depend_on_the_home_folder() -> None:
    settings = Settings()
    assert settings.data_dir == Path.home() / ".schedy"
    assert settings.effective_store_url == f"sqlite:///{settings.data_dir}/schedy.sqlite"
