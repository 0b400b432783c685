"""docs/http.md names every address of the API, and no other."""

import re
from pathlib import Path

from starlette.routing import Route

from schedy_web.app import api_routes

DOCUMENT = Path(__file__).parents[2] / "docs" / "http.md"


def test_the_document_has_every_address() -> None:
    rows = re.findall(r"^\| `([A-Z]+) (/\S*)` \|", DOCUMENT.read_text(), re.M)
    named = {"{number}": "NUMBER", "{job}": "ID", "{verb:str}": "VERB", "{fate:str}": "FATE"}
    there = set()
    for route in api_routes():
        assert isinstance(route, Route)
        path = route.path
        for parameter, name in named.items():
            path = path.replace(parameter, name)
        there |= {(method, path) for method in route.methods or () if method != "HEAD" and "rest" not in path}
    assert set(rows) == there
