"""An installed wheel: firmware, models and boards lie inside the package, and flash images can be built from there."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from tests.host_tools import stock

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """What pip makes of the wheel."""
    site = tmp_path / "site"
    shutil.copytree(ROOT / "host_tools", site / "host_tools", ignore=shutil.ignore_patterns("__pycache__"))
    (site / "host_tools/_bundle").mkdir()
    for name in ("firmware", "boards", "models"):
        assert f'{name} = "host_tools/_bundle/{name}"' in (ROOT / "pyproject.toml").read_text()
        (site / "host_tools/_bundle" / name).symlink_to(ROOT / name)
    return site


def test_an_image_is_built_from_an_installed_wheel(installed: Path, tmp_path: Path) -> None:
    release = stock.write(tmp_path / "MICROPYTHON.bin", stock.release())
    words = ["image", "build", "--board", "xiao_esp32s3_sense", "--micropython", str(release), "--out", "flash.bin"]
    code = f"import sys; from host_tools.cli import main; sys.argv = ['menshen', *{words!r}]; main()"
    # -S: the checkout, installed as editable, is not in reach.
    paths = os.pathsep.join([str(installed), sysconfig.get_path("purelib"), sysconfig.get_path("platlib")])
    done = subprocess.run(
        [sys.executable, "-S", "-c", code],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": paths},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "flash.bin").stat().st_size == 8 << 20
