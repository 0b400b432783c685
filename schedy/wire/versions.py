"""Versions of messages: how the service reads those of clients that are older than itself.

Clients are upgraded after the service. What they send is upgraded here, step by step, before its model checks it, which
refuses fields that it does not know. What the service sends is read by clients of another version, too: they ignore the
fields that they do not know, so its messages only grow, and new fields have defaults.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

RawMessage = dict[str, Any]
Upgrade = Callable[[RawMessage], RawMessage]


class UndecodableError(Exception):
    """A body that is no message of this schema; the text says why."""


@dataclass(frozen=True, slots=True)
class Versions:
    """The versions that are read: the current one, and each before it that `upgrades` has.

    `upgrades` has for a version the kinds that the next one has changed, with what makes a message one of the next. A
    kind keeps its name: the routing key has it, too.
    """

    current: int
    upgrades: Mapping[int, Mapping[str, Upgrade]] = field(default_factory=dict)

    def upgraded(self, raw: RawMessage) -> RawMessage:
        """Return a message as the current version has it. Raises UndecodableError for a version that is not read."""
        version = raw.get("schema_version")
        if not isinstance(version, int) or version > self.current:
            raise UndecodableError(self._unread(version))
        while version != self.current:
            if version not in self.upgrades:
                raise UndecodableError(self._unread(version))
            upgrade = self.upgrades[version].get(str(raw.get("kind")), dict)
            try:
                raw = {**upgrade(raw), "schema_version": version + 1}
            except (LookupError, TypeError, ValueError) as error:
                raise UndecodableError(f"not a message of schema version {version}: {error!r}") from None
            version += 1
        return raw

    def _unread(self, version: object) -> str:
        spoken = " and ".join(str(read) for read in sorted({*self.upgrades, self.current}))
        later = isinstance(version, int) and version > self.current
        remedy = "; upgrade the results service, then replay the message" if later else ""
        return f"schema version {version!r}, this program speaks {spoken}{remedy}"


VERSIONS = Versions(current=1)
"""Those of this program. The version before is kept in `upgrades` until the next one is released."""
SCHEMA_VERSION = VERSIONS.current
