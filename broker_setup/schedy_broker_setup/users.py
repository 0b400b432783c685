"""Creates Schedy's users on a broker."""

from collections.abc import Iterable

from schedy.wire.topology import INBOX
from schedy_broker_setup.management import Management
from schedy_broker_setup.permissions import ROLE_PERMISSIONS, User


def create_users(management: Management, users: Iterable[User], *, vhost: str) -> list[str]:
    """Create the users with their passwords and permissions in a vhost; return what was changed, one line each.

    Creates the vhost, and the inbox that the topic permissions are about, if they are missing. Safe to repeat. Changed
    permissions hold for channels opened from then on; connections stay open. Raises ManagementError.
    """
    changes = [f"created vhost {vhost}"] if management.put_vhost(vhost) else []
    if management.put_exchange(vhost, INBOX):
        changes.append(f"created exchange {INBOX.name}")
    for user in users:
        changes += create_user(management, user, vhost=vhost)
    return changes


def create_user(management: Management, user: User, *, vhost: str) -> list[str]:
    """Create one user in a vhost that has the inbox; return what was changed."""
    wanted = ROLE_PERMISSIONS[user.role]
    existed = user.name in management.users()
    changes: list[str] = []
    if management.put_user(user.name, password=user.password):
        changes.append(f"changed user {user.name}" if existed else f"created user {user.name}")
    changed = management.put_permissions(vhost, user.name, wanted.resources)
    changed |= management.put_topic_permissions(vhost, user.name, exchange=INBOX.name, permissions=wanted.inbox)
    if changed:
        changes.append(f"set the permissions of user {user.name} in vhost {vhost}: {user.role.value}")
    return changes
