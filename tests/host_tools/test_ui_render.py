"""Every screen, drawn by the firmware under MicroPython, as the pictures that the demo's page shows."""

import base64
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from firmware.ui import labels, qr
from firmware.ui.palette import PALETTE
from host_tools.make_fonts import notice_glyphs

ROOT = Path(__file__).resolve().parents[2]
FONTS = ROOT / "firmware" / "ui" / "fonts"


def micropython() -> str:
    return os.environ.get("MENSHEN_MICROPYTHON") or str(Path(sys.executable).parent / "micropython")


def to_rgb(gs4: bytes) -> np.ndarray:
    """A 240x320 GS4_HMSB buffer in the palette's colours."""
    packed = np.frombuffer(gs4, np.uint8)
    indices = np.stack([packed >> 4, packed & 15], 1).reshape(320, 240)
    return np.array(PALETTE, np.uint8)[indices]


@pytest.fixture(scope="module")
def gallery(tmp_path_factory: pytest.TempPathFactory) -> dict[str, np.ndarray]:
    directory = tmp_path_factory.mktemp("screens")
    ramp = np.tile(np.arange(320) * 255 // 319, (240, 1)).astype(np.uint8)
    (directory / "frame").write_bytes(ramp.tobytes())
    command = [micropython(), "tests/firmware/ui_gallery.py", str(directory / "frame"), str(directory)]
    environment = dict(os.environ, MICROPYPATH=f"{ROOT}:.frozen")
    result = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert result.returncode == 0, result.stderr
    screens = {}
    for name in result.stdout.split():
        screens[name] = to_rgb((directory / f"{name}.gs4").read_bytes())
        Image.fromarray(screens[name]).save(directory / f"{name}.png")
    return screens


def test_every_screen_is_drawn_and_no_two_are_alike(gallery: dict[str, np.ndarray]) -> None:
    assert len(gallery) > 20
    assert len({screen.tobytes() for screen in gallery.values()}) == len(gallery)


def test_a_glance_tells_the_answer(gallery: dict[str, np.ndarray]) -> None:
    """Granted shows green and no red, denied red and no green."""
    green, red = PALETTE[12], PALETTE[8]

    def share(name: str, colour: tuple[int, int, int]) -> float:
        return float((gallery[name] == colour).all(axis=2).mean())

    assert share("granted", green) > 0.05 and share("granted", red) == 0
    for name in ("denied", "denied_wait", "denied_hours"):
        assert share(name, red) > 0.05 and share(name, green) == 0


def test_the_viewfinder_shows_the_frame_as_a_mirror_does(gallery: dict[str, np.ndarray]) -> None:
    picture = gallery["looking_typing"][44:224, :, 0].astype(float)
    columns = picture.reshape(180, 30, 8).mean(axis=(0, 2))
    assert (np.diff(columns) < 0).all(), "the ramp runs from dark to bright in the frame"
    expected = np.interp(np.arange(30), (0, 29), (251, 4))
    assert np.abs(columns - expected).max() < 12


def test_the_fonts_hold_every_glyph_that_the_labels_use() -> None:
    def characters(name: str) -> set[str]:
        data = (FONTS / name).read_bytes()
        count = int.from_bytes(data[6:8], "little")
        return {chr(int.from_bytes(data[at : at + 2], "little")) for at in range(8, 8 + 8 * count, 8)}

    used = set("".join(list(labels.CHINESE) + list(labels.CHINESE.values())))
    for what, step in labels.DENIALS.values():
        used |= set("".join(what + step))
    assert used <= characters("small.fnt")
    assert set(notice_glyphs()) <= characters("small.fnt")
    assert used <= characters("large.fnt")
    assert set("0123456789") <= characters("digits.fnt")


def test_the_receipt_on_the_screen_is_the_receipt(gallery: dict[str, np.ndarray]) -> None:
    """Its modules, read off the screen, are those of a QR code with exactly these bytes, in base64."""
    screen = gallery["receipt"]
    light = (screen == 255).all(axis=2)[72:]
    rows, columns = np.flatnonzero(light.sum(axis=1) > 150), np.flatnonzero(light[:200].sum(axis=0) > 100)
    square = light[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    code = qr.Code(base64.b64encode(bytes(range(204))))
    scale = square.shape[1] // (code.size + 8)
    assert scale == 3 and square.shape == (scale * (code.size + 8),) * 2
    modules = ~square[scale // 2 :: scale, scale // 2 :: scale][4:-4, 4:-4]
    assert (modules == (np.frombuffer(bytes(code.modules), np.uint8).reshape(code.size, -1) == 1)).all()
