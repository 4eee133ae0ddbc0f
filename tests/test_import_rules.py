"""Who may import whom, read from the source: the rules that keep each room of the house its own."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
FIRMWARE = ROOT / "firmware"

DEVICE_MODULES = {"machine", "esp32", "camera", "network", "esp"}
FEATURES = {
    "capture", "nn", "vision", "biometrics", "vault", "access", "credentials", "door", "ui", "link",
}  # fmt: skip
COMMON = {"base", "crypto"}
# What a room may import besides itself and the common rooms. The composition (app, main, services) may import all.
ALLOWED = {
    "base": set(),
    "crypto": {"base"},
    "start": set(),
    "hal": COMMON | {"start"},
    "vision": COMMON | {"nn"},
    "biometrics": {"base"},
    "access": {"base"},
    **{room: COMMON for room in FEATURES - {"vision", "biometrics", "access"}},
}
COMPOSITION = {"app.py", "main.py", "services", "__init__.py"}


def imports(path: Path) -> list[str]:
    """Every module that the file at `path` imports, wherever in the file."""
    found = []
    for node in ast.walk(ast.parse(path.read_text(), str(path))):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import; the firmware's imports are absolute"
            found += [f"{node.module}.{alias.name}" for alias in node.names]
    return found


def violations(room: str, path: Path, names: list[str]) -> list[str]:
    """The imports among `names` that `path`, a file of `room`, may not have."""
    bad = []
    on_esp32 = path.is_relative_to(FIRMWARE / "hal" / "esp32")
    for name in names:
        parts = name.split(".")
        if parts[0] in DEVICE_MODULES and not on_esp32:
            bad.append(f"{name}: only hal/esp32 touches the device's modules")
        if parts[0] in {"host_tools", "models", "boards", "board", "tests"}:
            bad.append(f"{name}: the firmware stands alone")
        if parts[0] == "firmware" and room not in COMPOSITION:
            other = parts[1]
            if other != room and other not in ALLOWED[room]:
                bad.append(f"{name}: {room} may import only {sorted(ALLOWED[room])}")
    return bad


FILES = sorted(FIRMWARE.rglob("*.py"))


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(FIRMWARE)))
def test_firmware_file_imports_only_what_its_room_may(path: Path) -> None:
    room = path.relative_to(FIRMWARE).parts[0]
    names = [n for n in imports(path) if not (room == "main.py" and n.startswith("board"))]
    assert violations(room, path, names) == []


def test_every_room_is_named_in_the_rules() -> None:
    rooms = {p.name for p in FIRMWARE.iterdir() if p.is_dir() and p.name != "__pycache__"}
    assert rooms <= set(ALLOWED) | {"services"}


def test_only_boards_pick_a_hal() -> None:
    for path in FILES:
        if not path.is_relative_to(FIRMWARE / "hal"):
            assert not [n for n in imports(path) if n.startswith("firmware.hal.")], path
    for path in (ROOT / "boards").glob("*/board.py"):
        assert [n for n in imports(path) if n.startswith("firmware.hal.")], f"{path} picks no HAL"


def test_the_rule_bites() -> None:
    """The checker itself: each kind of trespass is seen."""
    path = FIRMWARE / "vault" / "vault.py"
    assert violations("vault", path, ["firmware.link.messages"])
    assert violations("vault", path, ["machine.Pin"])
    assert violations("vault", path, ["host_tools.errors"])
    assert violations("access", FIRMWARE / "access" / "x.py", ["firmware.crypto.hmac"])
    assert not violations("vault", path, ["firmware.crypto.hmac", "firmware.base.errors", "os"])
    assert not violations("hal", FIRMWARE / "hal" / "esp32" / "pins.py", ["machine.Pin"])
