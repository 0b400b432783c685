"""docs/http.md names every address of the API, and no other."""

import re
from pathlib import Path

from starlette.routing import Route

from schedy_web.app import api_routes
from schedy_web.openapi import openapi

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


def test_openapi_has_every_address_with_what_it_does() -> None:
    described = openapi(api_routes())
    operations = {
        (method.upper(), path): each for path, by in described["paths"].items() for method, each in by.items()
    }
    there = {
        (method, re.sub(r":\w+", "", route.path))
        for route in api_routes()
        if isinstance(route, Route) and "rest" not in route.path
        for method in route.methods or ()
        if method != "HEAD"
    }
    assert set(operations) == there
    assert len({each["operationId"] for each in operations.values()}) == len(operations)
    for (method, path), each in operations.items():
        assert each["summary"].endswith("."), path
        named = {parameter["name"] for parameter in each["parameters"] if parameter["in"] == "path"}
        assert named == set(re.findall(r"\{(\w+)\}", path))
        assert ("requestBody" in each) == (method != "GET")
