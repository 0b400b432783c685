"""The command of a Python process that Schedy starts."""

import sys


def module_command(module: str, *arguments: str) -> list[str]:
    """Return the command that runs a module with this Python, as ``python -m`` would.

    ``-P`` keeps the current folder off the path of imports: a `json.py` there, the user's own or planted in a shared
    folder, must not take the place of Python's. PYTHONPATH works as ever, for algorithms of one's own.
    """
    return [sys.executable, "-P", "-m", module, *arguments]
