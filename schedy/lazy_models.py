"""The base of models that pydantic builds at their first use: a program needs few of the hundred at its start."""

import threading
from typing import Any

from pydantic import BaseModel, ConfigDict

_building = threading.RLock()


class LazyModel(BaseModel):
    """A model that is built when it is first used, by any thread."""

    model_config = ConfigDict(defer_build=True)

    @classmethod
    def model_rebuild(cls, **options: Any) -> bool | None:
        """Build the model if it is not built yet: one thread at a time, which pydantic before 2.14 does not see to."""
        with _building:
            return super().model_rebuild(**options)
