"""What the panel does for each operation of the link (fields and caps: link/ops.py).

Every handler is idempotent: the host repeats a command whose answer it did not get. Each change is on flash when the
reply leaves, and a refusal changes nothing.
"""

from binascii import hexlify

from firmware.access.policy import Rights
from firmware.access.schedule import Schedule
from firmware.base.errors import ConsentError, NotFound
from firmware.crypto import ed25519, x25519
from firmware.crypto.hmac import zero
from firmware.link import handshake
from firmware.services.residents import ASKED, CONSENT_STATES, GIVEN, WITHDRAWN

VERSION = "0.1.0"


class Commands:
    """`panel` is the app's Panel: what there is, wired."""

    def __init__(self, panel):
        self._panel = panel
        self._vault = panel.vault
        self._residents = panel.residents

    def handle(self, op: str, fields: dict):
        """The link server's handler: gives a dict, or a coroutine that gives one."""
        return getattr(self, op)(**fields)

    def hello(self) -> dict:
        keys = self._vault.keys
        answer = {
            "board": self._panel.board.name,
            "firmware": VERSION,
            "provisioned": bool(keys and keys.confirmed),
        }
        if keys:
            answer["panel_id"] = keys.panel_id
            answer["device_pub"] = keys.device_public
        return answer

    def provision(self, host_pub: bytes, site: bytes, name: str, time: int) -> dict:
        entropy = self._panel.board.entropy
        seed, ephemeral = bytearray(entropy(32)), bytearray(entropy(32))
        panel_id = entropy(8)
        device_pub = ed25519.public_key(seed)
        panel_pub = x25519.x25519(ephemeral, x25519.BASE)
        shared = bytearray(x25519.x25519(ephemeral, host_pub))
        link_key = bytearray(handshake.link_key(shared, host_pub, panel_pub, device_pub))
        self._vault.provision(panel_id, seed, link_key, site + name.encode())
        message = handshake.signed_message(panel_id, device_pub, panel_pub, host_pub)
        signature = ed25519.sign(seed, message)
        for buffer in (seed, ephemeral, shared, link_key):
            zero(buffer)
        self._panel.board.clock.set(time)
        return {"panel_id": panel_id, "device_pub": device_pub, "panel_pub": panel_pub, "sig": signature}

    def status(self) -> dict:
        panel = self._panel
        now, source = panel.board.clock.now()
        answer = {
            "panel_id": self._vault.keys.panel_id,
            "name": str(self._vault.keys.label[8:], "utf-8"),
            "board": panel.board.name,
            "firmware": VERSION,
            "time": now,
            "time_source": source,
            "uptime_s": panel.uptime.seconds(),
            "residents": len(self._residents),
            "faces": len(self._vault.face_handles()),
            "face_capacity": self._vault.capacity,
            "maintenance": panel.maintenance,
            "camera": panel.face.works,
            "tamper": panel.board.tamper.open(),
            "memory": panel.memory(),
            "policy": panel.settings.values,
        }
        if panel.gallery is not None:
            answer["model_id"] = panel.gallery.model_id
        return answer

    def set_time(self, time: int) -> dict:
        self._panel.board.clock.set(time)
        self._vault.append("clock_set")
        return {"time": self._panel.board.clock.now()[0]}

    def resident_put(self, handle, flat, doors, schedule, valid_from, valid_until) -> dict:
        windows = [(w["days"], w["start"], w["end"]) for w in schedule]
        self._residents.put_rights(handle, flat, Rights(doors, Schedule(windows), valid_from, valid_until))
        return {}

    def resident_drop(self, handle: bytes) -> dict:
        receipt = self._wipe(handle, "removed")
        if self._residents.knows(handle):
            self._residents.drop(handle)
        return {"receipt": receipt} if receipt else {}

    def consent_ask(self, handle, consent_id, notice_hash, title, lines) -> dict:
        resident = self._residents.get(handle)
        if resident.consent and resident.consent.covers(consent_id, notice_hash):
            return {"state": "given"}
        self._set_consent(handle, ASKED, consent_id, notice_hash)
        self._panel.desk.ask(handle, consent_id, notice_hash, title, lines)
        return {"state": "asked"}

    def consent_state(self, handle: bytes) -> dict:
        consent = self._residents.get(handle).consent
        if consent is None:
            return {"state": "none"}
        return {
            "state": CONSENT_STATES[consent.state],
            "consent_id": consent.consent_id,
            "notice_hash": consent.notice_hash,
            "time": consent.time,
        }

    def consent_grant(self, handle, consent_id, notice_hash) -> dict:
        resident = self._residents.get(handle)
        if resident.consent is None or not resident.consent.covers(consent_id, notice_hash):
            self._set_consent(handle, GIVEN, consent_id, notice_hash)
            self._vault.append("consent_given", handle)
        return {"state": "given"}

    def consent_withdraw(self, handle: bytes) -> dict:
        """Matching stops first, the record of the withdrawal comes second, the erasure third: after a cut in between
        the next start finishes it before anything may match."""
        self._panel.stop_matching(handle)
        self._panel.desk.drop(handle)
        consent = self._residents.get(handle).consent
        if consent and consent.state != WITHDRAWN:
            self._set_consent(handle, WITHDRAWN, consent.consent_id, consent.notice_hash)
            self._vault.append("consent_withdrawn", handle)
        receipt = self._wipe(handle, "withdrawn")
        return {"state": "withdrawn", "receipt": receipt} if receipt else {"state": "withdrawn"}

    def enrol_put(self, handle, consent_id, notice_hash, model_id, expiry, templates) -> dict:
        self.check_consent(handle, consent_id, notice_hash)
        self._panel.enrol(handle, model_id, consent_id, notice_hash, expiry, templates)
        return {"templates": len(templates)}

    async def enrol_live(self, handle, consent_id, notice_hash, expiry, count, wait_s) -> dict:
        self.check_consent(handle, consent_id, notice_hash)
        templates = await self._panel.face.collect(count, wait_s)
        self.check_consent(handle, consent_id, notice_hash)  # it may have been withdrawn meanwhile
        model_id = self._panel.gallery.model_id
        self._panel.enrol(handle, model_id, consent_id, notice_hash, expiry, templates)
        return {"templates": len(templates), "model_id": model_id}

    def check_consent(self, handle: bytes, consent_id: bytes, notice_hash: bytes) -> None:
        consent = self._residents.get(handle).consent
        if consent is None or not consent.covers(consent_id, notice_hash):
            raise ConsentError("this panel holds no consent of this resident to this notice")

    def pin_set(self, handle, salt, iterations, hash) -> dict:
        self._residents.set_pin(handle, salt, iterations, hash)
        self._vault.append("credential_set", handle, b"pin")
        return {}

    def card_put(self, handle, uid, key) -> dict:
        self._residents.add_card(handle, uid, key)
        self._vault.append("credential_set", handle, b"card")
        return {}

    def credential_drop(self, handle, kind, uid=None) -> dict:
        dropped = self._residents.drop_credential(handle, kind, uid)
        if dropped:
            self._vault.append("credential_dropped", handle, kind.encode())
        return {"dropped": dropped}

    def wipe_face(self, handle, reason) -> dict:
        receipt = self._wipe(handle, reason)
        if receipt is None:
            raise NotFound("no face of this resident is stored on this panel")
        return {"receipt": receipt}

    def receipts(self, since, limit) -> dict:
        found = self._vault.receipts(since, limit)
        return {"receipts": [receipt for _, receipt in found], "next": found[-1][0] + 1 if found else since}

    def log(self, since, limit) -> dict:
        found = []
        for entry in self._vault.log(since, limit):
            line = {"seq": entry.sequence, "time": entry.time, "kind": entry.kind, "detail": _text(entry.detail)}
            if entry.handle != bytes(8):
                line["handle"] = entry.handle
            found.append(line)
        return {"entries": found, "next": found[-1]["seq"] + 1 if found else since}

    def events(self, since, limit) -> dict:
        found, following = self._panel.events.since(since, limit)
        return {"events": found, "next": following}

    def set_policy(self, **wanted) -> dict:
        self._panel.settings.change(wanted)
        self._vault.append("policy_set")
        self._panel.apply_settings()
        return {}

    def maintenance(self, on: bool) -> dict:
        self._panel.set_maintenance(on)
        return {"on": on}

    def _set_consent(self, handle, state, consent_id, notice_hash) -> None:
        self._residents.set_consent(handle, state, self._panel.board.clock.now()[0], consent_id, notice_hash)

    def _wipe(self, handle: bytes, reason: str):
        """The receipt, or None when no face was stored."""
        if handle not in self._vault.face_handles():
            return None
        return self._panel.wipe_face(handle, reason)


def _text(detail: bytes) -> str:
    """Words as they are, an id in hex."""
    if all(32 <= c < 127 for c in detail):
        return str(detail, "ascii")
    return str(hexlify(detail), "ascii")
