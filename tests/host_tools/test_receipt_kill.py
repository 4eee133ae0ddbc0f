"""A panel killed at any moment while it enrols and wipes: what it had said stays true, each wipe has its receipt."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

PANEL = """
import sys
from firmware.hal.virtual.flash import FileFlash
from firmware.vault.chain import RECEIPT_DUE
from firmware.vault.vault import Vault
from tests.firmware.vault_house import CONSENT, EILEEN, GRACE, MODEL, NOTICE, SEED, Clock, templates

source = open("/dev/urandom", "rb")
vault = Vault(FileFlash(sys.argv[1], 160), source.read, Clock())
vault.open()
if vault.fresh:
    vault.provision(b"panel-01", SEED, bytes(32))
    vault.put_resident(EILEEN, b"flat 302")
face = vault.read_face(GRACE)[1] if GRACE in vault.face_handles() else []
numbers = [e.sequence for e in vault.log(0, 1000) if e.kind == "erase_done" and e.flags & RECEIPT_DUE]
print(bytes(vault.read_resident(EILEEN)) == b"flat 302", face[0][0] if face else -1, len(numbers))
while sys.argv[2] == "run":
    if GRACE not in vault.face_handles():
        vault.put_face(GRACE, MODEL, CONSENT, NOTICE, 0, [bytes([7]) * 128])
    print("ENROLLED")
    vault.wipe_face(GRACE, "request")
    print("WIPED")
"""


def start(flash: Path, mode: str) -> subprocess.Popen[str]:
    micropython = os.environ.get("MENSHEN_MICROPYTHON") or str(Path(sys.executable).parent / "micropython")
    script = flash.parent / "panel.py"
    script.write_text(PANEL)
    return subprocess.Popen(
        [micropython, "-X", "heapsize=16M", str(script), str(flash), mode],
        cwd=ROOT,
        env={**os.environ, "MICROPYPATH": f"{ROOT}:.frozen"},
        stdout=subprocess.PIPE,
        text=True,
    )


def look(flash: Path) -> list[str]:
    output, _ = start(flash, "look").communicate(timeout=30)
    return output.split()


def test_a_killed_panel_keeps_its_word(tmp_path: Path) -> None:
    dice = random.Random(3)
    flash = tmp_path / "vault.bin"
    total = 0
    for _ in range(3):
        panel = start(flash, "run")
        assert panel.stdout is not None
        panel.stdout.readline()
        time.sleep(dice.uniform(0.01, 0.1))
        panel.send_signal(signal.SIGKILL)
        said = panel.stdout.read().split()
        panel.wait()
        promised = total + said.count("WIPED")
        intact, face, done = look(flash)
        assert intact == "True"
        # The operation under way when the signal came is done or not begun; nothing else is open.
        assert int(done) in (promised, promised + 1)
        if said and said[-1] == "ENROLLED":
            assert face == "7" or int(done) == promised + 1
        elif said and said[-1] == "WIPED":
            assert int(done) == promised
        total = int(done)
        assert look(flash)[1:3] == [face, done]
    assert total > 0
