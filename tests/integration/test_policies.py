"""Policies are read from a real management API."""

from urllib.parse import urlsplit

from schedy.settings import Settings
from schedy_broker_setup.declaring import setup
from schedy_broker_setup.doctor.check import Status
from schedy_broker_setup.doctor.policies import check_policies
from schedy_broker_setup.management import Management
from tests.conftest import Node
from tests.support import wait_until


def test_a_policy_is_seen_with_what_it_does(node: Node, settings: Settings) -> None:
    setup(settings.broker_url)
    vhost = urlsplit(settings.broker_url).path[1:]
    (check,) = check_policies(node.management_url, vhost=vhost)
    assert (check.name, check.status) == ("policies", Status.OK)
    Management(node.management_url).put_policy(vhost, "short", pattern="^schedy", definition={"message-ttl": 3_600_000})

    def _failed() -> str:  # the API shows queues a few seconds late
        (check,) = check_policies(node.management_url, vhost=vhost)
        return check.detail if (check.name, check.status) == ("policy short", Status.FAILED) else ""

    assert "Reports and pushes that wait for 3600 s become dead letters" in wait_until(_failed, what="the policy")


def test_a_management_api_that_does_not_answer_or_refuses_is_no_failure(node: Node) -> None:
    login, _at, place = node.management_url.rpartition("@")
    for url in ("http://127.0.0.1:1", f"{login}x@{place}"):
        (check,) = check_policies(url, vhost="/")
        assert check.status is Status.UNKNOWN
        assert "SCHEDY_MANAGEMENT_URL" in check.remedy
