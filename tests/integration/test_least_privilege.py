"""Service, pusher and worker, each with the rights of its own user and no more."""

from urllib.parse import urlsplit

import pytest

import schedy
from schedy.errors import PermissionDeniedError
from schedy.settings import Settings
from schedy_broker_setup.declaring import setup
from schedy_broker_setup.management import Management
from schedy_broker_setup.permissions import Role, User
from schedy_broker_setup.users import create_users
from tests.conftest import Node
from tests.support import running_service
from tests.web_server import serving


def test_each_user_can_do_its_work_and_not_the_others(node: Node, settings: Settings) -> None:
    parts = urlsplit(settings.broker_url)
    vhost = parts.path[1:]
    users = {role: User(name=f"{role.user_name}-{vhost}", role=role, password="secret") for role in Role}
    management = Management(node.management_url)
    create_users(management, users.values(), vhost=vhost)
    setup(settings.broker_url)

    def _settings(role: Role) -> Settings:
        url = f"amqp://{users[role].name}:secret@{parts.hostname}:{parts.port}/{vhost}"
        return settings.model_copy(update={"broker_url": url, "service_wait_seconds": 10.0})

    try:
        with (
            running_service(_settings(Role.SERVICE)),
            schedy.SchedyDB(config_override=_settings(Role.PUSHER).model_dump()) as pusher,
            schedy.SchedyDB(config_override=_settings(Role.WORKER).model_dump()) as worker,
        ):
            pusher.add_experiment(schedy.ManualSearch("E"))
            pushed = pusher.get_experiment("E").add_job({"x": 3})
            with worker.get_experiment("E").next_job(timeout=10) as job:
                job.results["r"] = job.hyperparameters["x"] ** 2
                job.put()
            assert pusher.get_experiment("E").get_job(pushed.job_id).results == {"r": 9}
            with serving(_settings(Role.PUSHER)) as pages:
                assert pages.change("POST", "experiments/1/jobs", {"hyperparameters": {"x": 5}}).json["stored"]
                assert pages.change("PATCH", "experiments/1", {"paused": True}).json["stored"]
                assert pusher.get_experiment("E").paused
                broker = pages.get("system")["broker"]
                assert (broker["problem"], broker["dead_letters"], broker["services"]) == ("", 0, 1)
                refused = pages.ask("/api/v1/system/dead", token=pages.tokens.operate)
                assert refused.status == 403
                assert "schedy-service may run the results service, declare queues and handle dead letters" in str(
                    refused
                )
            with pytest.raises(PermissionDeniedError, match="schedy broker setup"):
                worker.get_experiment("E").add_job({"x": 4})
            with pytest.raises(PermissionDeniedError):
                pusher.get_experiment("E").next_job()
            with pytest.raises(schedy.NoJobError):
                worker.get_experiment("E").next_job()
    finally:
        for user in users.values():
            management.delete_user(user.name)
