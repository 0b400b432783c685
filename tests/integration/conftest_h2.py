"""Stand-in until the shared fixtures are there: a running node, named in the environment."""

import os
import uuid
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from schedy_broker_setup.management import Management


@dataclass(frozen=True)
class Node:
    url: str
    management_url: str


@pytest.fixture(scope="session")
def node() -> Node:
    return Node(url=os.environ["TEST_BROKER_URL"], management_url=os.environ["TEST_MANAGEMENT_URL"])


@pytest.fixture
def vhost_url(node: Node) -> Iterator[str]:
    """URL of an administrator in a vhost of its own."""
    vhost = f"test-{uuid.uuid4().hex[:12]}"
    management = Management(node.management_url)
    management.put_vhost(vhost)
    yield node.url.rsplit("/", 1)[0] + "/" + vhost
    management.delete_vhost(vhost)
