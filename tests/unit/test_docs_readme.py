"""The README and the tutorial: their workers are the examples that the tests run, and all links lead somewhere."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]


@pytest.mark.parametrize(
    ("document", "example"), [("README.md", "worker.py"), ("docs/tutorial.md", "tutorial.py")], ids=str
)
def test_its_worker_is_the_example(document: str, example: str) -> None:
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / document).read_text(), re.DOTALL)
    assert (ROOT / "examples" / example).read_text() in blocks


def test_the_readme_is_short() -> None:
    assert len(README.splitlines()) < 120


def anchors(document: Path) -> set[str]:
    """The anchors of the headings of a document, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", document.read_text(), re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_what_it_links_to_is_there(document: Path) -> None:
    for link in re.findall(r"\]\(([^)\s]+)\)", document.read_text()):
        if link.startswith("http"):
            continue
        path, _, anchor = link.partition("#")
        target = (document.parent / path).resolve() if path else document
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_its_make_targets_are_there(document: Path) -> None:
    makefile = (ROOT / "Makefile").read_text()
    code = re.findall(r"`make (\w+)|^(?:    )?make (\w+)", document.read_text(), re.M)
    for target in {first or second for first, second in code}:
        assert f"\n{target}:" in makefile, target
