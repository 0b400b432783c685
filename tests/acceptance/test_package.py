"""What is installed: the wheel, built from this checkout."""

import subprocess
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGES = ("schedy", "schedy_broker_setup", "schedy_store", "schedy_web", "schedy_cli")


def test_the_wheel_has_the_five_packages_and_nothing_else(tmp_path: Path) -> None:
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(tmp_path), str(ROOT)]
    subprocess.run(build, check=True, capture_output=True, timeout=100)
    (wheel,) = tmp_path.glob("*.whl")
    subprocess.run([str(Path(sys.executable).parent / "check-wheel-contents"), str(wheel)], check=True, cwd=ROOT)
    names = zipfile.ZipFile(wheel).namelist()
    tops = {name.split("/")[0] for name in names}
    assert tops == {*PACKAGES, next(top for top in tops if top.endswith(".dist-info"))}
    for package in PACKAGES:
        assert f"{package}/py.typed" in names
    assert "schedy_store/schema/migrations/versions/v0001_first.py" in names
    assert "schedy_web/static/index.html" in names
