"""RabbitMQ versions that this machine's Debian does not have: other releases of Debian, in folders, made once."""

import os
import shutil
import subprocess
from pathlib import Path

CACHE_VARIABLE = "SCHEDY_CHAOS_CACHE"
_MIRROR_VARIABLE = "SCHEDY_CHAOS_MIRROR"
_MIRROR = "http://deb.debian.org/debian"
_RELEASES = {"4.0": ("trixie", "trixie"), "4.3": ("forky", "sid")}
"""For a version of RabbitMQ: the release that has it, and debootstrap's script for that."""
_SCRIPTS = Path("/usr/share/debootstrap/scripts")
_NO_SERVICES = "#!/bin/sh\nexit 101\n"


class ReleaseError(Exception):
    """A folder with another release cannot be made or used here; the text says why."""


def release_folder(version: str) -> Path:
    """Return the root folder of a Debian with this RabbitMQ; made at the first call, which takes a minute or two.

    Raises ReleaseError.
    """
    if os.getuid() != 0:
        raise ReleaseError(f"RabbitMQ {version} runs in a folder of its own, with chroot: only root can do that.")
    release, script = _RELEASES[version]
    folder = _cache() / release
    if not folder.exists():
        _make(release, script, folder)
    return folder


def _cache() -> Path:
    named = os.environ.get(CACHE_VARIABLE)
    return Path(named) if named else Path.home() / ".cache" / "schedy-chaos"


def _make(release: str, script: str, folder: Path) -> None:
    if shutil.which("debootstrap") is None:
        raise ReleaseError("debootstrap is not installed: apt-get install debootstrap.")
    draft = folder.with_name(f"{release}.part")
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(parents=True)
    print(f"Making {folder} with debootstrap ...", flush=True)
    mirror = os.environ.get(_MIRROR_VARIABLE, _MIRROR)
    log = folder.with_name(f"{release}.log")
    _run(["debootstrap", "--variant=minbase", release, str(draft), mirror, str(_SCRIPTS / script)], log)
    # The package would start a broker on the ports of this machine.
    policy = draft / "usr/sbin/policy-rc.d"
    policy.write_text(_NO_SERVICES)
    policy.chmod(0o755)
    install = ["apt-get", "install", "--yes", "--quiet", "--no-install-recommends", "rabbitmq-server"]
    _run(["chroot", str(draft), "env", "DEBIAN_FRONTEND=noninteractive", *install], log)
    draft.rename(folder)


def _run(command: list[str], log: Path) -> None:
    with log.open("ab") as output:
        done = subprocess.run(command, stdout=output, stderr=output, stdin=subprocess.DEVNULL, check=False)
    if done.returncode != 0:
        raise ReleaseError(f"{command[0]} failed; see {log}.")
