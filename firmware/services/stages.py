"""How long each stage of an attempt takes on this panel: its own work, without what others do in between."""

from firmware.base.errors import CameraError
from firmware.base.ticks import ticks_diff, ticks_ms, ticks_us
from firmware.credentials import pin
from firmware.crypto import ed25519
from firmware.crypto.hmac import zero
from firmware.vision import quality

# A face as large as an attempt needs it, in the middle of the frame: landmarks in 1/16 pixels.
_FACE = (127, 110, 60, 100, 120, ((2240, 1800), (2880, 1800), (2560, 2160), (2300, 2540), (2820, 2540)))


async def drive(steps, turn) -> int:
    """Runs a generator with a turn for the others after each step; the milliseconds of the steps alone."""
    own_us = 0
    while True:
        started = ticks_us()
        try:
            next(steps)
        except StopIteration:
            return (own_us + ticks_diff(ticks_us(), started) + 500) // 1000
        own_us += ticks_diff(ticks_us(), started)
        await turn()


async def measure(panel, turn, figures: dict) -> None:
    """Adds NAME_ms to `figures` for every stage that this panel has."""
    if panel.face.ready:
        await _face(panel, turn, figures)
    await turn()
    _sign(panel.board.entropy, figures)
    figures["pin_ms"] = await drive(pin.match_steps(bytearray(b"000000"), []), turn)
    figures["vault_scan_ms"] = await drive(panel.vault.check_records(), turn)


async def _face(panel, turn, figures: dict) -> None:
    capture, pipeline = await panel.face.borrow()
    try:
        _capture(capture, figures)
        figures["detect_ms"] = await drive(pipeline.find_steps(), turn)
        pipeline.faces = [_FACE]  # whoever stands before the camera is not who this is about
        started = ticks_ms()
        pipeline.judge(quality.LENIENT)
        figures["align_ms"] = ticks_diff(ticks_ms(), started)
        figures["embed_ms"] = await drive(pipeline.embed_steps(), turn)
        started = ticks_ms()
        panel.gallery.match(pipeline.embedding, pipeline.model_id)
        figures["match_ms"] = ticks_diff(ticks_ms(), started)
        figures["faces"] = len(panel.gallery)
    finally:
        panel.face.give_back()


def _capture(capture, figures: dict) -> None:
    """Without a picture the other stages take as long."""
    started = ticks_ms()
    try:
        capture.take()
    except CameraError:
        return
    figures["capture_ms"] = ticks_diff(ticks_ms(), started)


def _sign(entropy, figures: dict) -> None:
    """With a key made for it: the panel's own signs nothing but evidence."""
    seed = bytearray(entropy(32))
    public = ed25519.public_key(seed)
    started = ticks_ms()
    ed25519.sign(seed, b"menshen selftest", public)
    figures["sign_ms"] = ticks_diff(ticks_ms(), started)
    zero(seed)
