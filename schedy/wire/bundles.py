"""Bundles: reports of one sender, and answers to it, that share a message of the broker.

A message costs the broker, the service and the worker more than a short report in it. What is in a bundle means what it
would mean alone, in the same order; whoever sends bundles reads them.
"""

import json
from collections.abc import Iterable
from typing import Any, Literal

from pydantic import Field

from schedy.wire import names
from schedy.wire.base import Answer, Part, Sendable, Token
from schedy.wire.versions import SCHEMA_VERSION

MOST_IN_A_BUNDLE = 50
LARGEST_BUNDLE_BYTES = 65_536


class BundledReport(Part):
    """`id` is the correlation id of its answer, None if its sender wants none."""

    id: Token | None
    report: dict[str, Any]


class Bundle(Sendable):
    """Reports, in the order in which they were made."""

    kind: Literal["bundle"] = "bundle"
    routing_prefix = names.REPORT_KEY_PREFIX
    reports: list[BundledReport] = Field(min_length=1, max_length=MOST_IN_A_BUNDLE)


class BundledAnswer(Part):
    """`id` is the correlation id that it would have alone."""

    id: str
    answer: dict[str, Any]


class AnswerBundle(Answer):
    """Answers to reports, all or some of which came in bundles."""

    kind: Literal["answer_bundle"] = "answer_bundle"
    answers: list[BundledAnswer]


def bundle_body(reports: Iterable[tuple[str | None, bytes]]) -> bytes:
    """Return the body of a `Bundle` of encoded reports, each with its id."""
    return _body("bundle", "reports", "report", reports)


def answer_bundle_body(answers: Iterable[tuple[str, bytes]]) -> bytes:
    """Return the body of an `AnswerBundle` of encoded answers, each with its id."""
    return _body("answer_bundle", "answers", "answer", answers)


def _body(kind: str, many: str, one: str, bodies: Iterable[tuple[str | None, bytes]]) -> bytes:
    parts = b",".join(b'{"id":%s,"%s":%s}' % (json.dumps(id_).encode(), one.encode(), body) for id_, body in bodies)
    return b'{"schema_version":%d,"kind":"%s","%s":[%s]}' % (SCHEMA_VERSION, kind.encode(), many.encode(), parts)
