"""What the panel does for each operation of the link (fields and caps: link/ops.py).

Every handler is idempotent: the host repeats a command whose answer it did not get. Each change is on flash when the
reply leaves, and a refusal changes nothing.
"""

from binascii import hexlify

from firmware.access.policy import Rights
from firmware.access.schedule import Schedule
from firmware.base.errors import NotFound, Refused
from firmware.base.log import since as console_lines
from firmware.base.version import VERSION
from firmware.crypto import ed25519, x25519
from firmware.crypto.hmac import zero
from firmware.link import handshake
from firmware.services import parity
from firmware.services.refusals import REVOKED
from firmware.services.residents import ASKED, CONSENT_STATES, GIVEN
from firmware.services.withdrawal import wipe, withdraw


class Commands:
    """`panel` is the app's Panel: what there is, wired."""

    def __init__(self, panel):
        self._panel = panel
        self._vault = panel.vault
        self._residents = panel.residents
        self._update_service = None

    def handle(self, op: str, fields: dict):
        """The link server's handler: gives a dict, or a coroutine that gives one."""
        return getattr(self, op)(**fields)

    def hello(self) -> dict:
        keys = self._vault.keys
        answer = {
            "board": self._panel.board.name,
            "firmware": VERSION,
            "provisioned": bool(keys and keys.confirmed),
            "maintenance": self._panel.maintenance,
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
            "fed": panel.board.takes_frames,
            "tamper": panel.board.tamper.open(),
            "memory": panel.memory(),
            "pin_ms": panel.entry.pins.cost_ms,
            "policy": panel.settings.values,
        }
        if panel.gallery is not None:
            answer["model_id"] = panel.gallery.model_id
        following, head = self._vault.log_head
        damage = [{"what": d[0], "seq": d[1], "block": d[2]} for d in self._vault.log_damage[:8]]
        answer.update(
            clearing=not self._vault.in_service,
            receipts_waiting=self._vault.receipts_waiting,
            quarantined=self._vault.quarantined,
            log_next=following,
            log_head=head,
            log_damage=damage,
        )
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
        receipt = wipe(self._panel, handle, "removed")
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
        receipt = withdraw(self._panel, handle)
        return {"state": "withdrawn", "receipt": receipt} if receipt else {"state": "withdrawn"}

    def enrol_put(self, handle, consent_id, notice_hash, model_id, expiry, templates) -> dict:
        self._residents.check_consent(handle, consent_id, notice_hash)
        self._panel.enrol(handle, model_id, consent_id, notice_hash, expiry, templates)
        return {"templates": len(templates)}

    def enrol_live(self, handle, consent_id, notice_hash, expiry, count, wait_s) -> dict:
        return self._panel.enrolment.begin(handle, consent_id, notice_hash, expiry, count, wait_s)

    def enrol_state(self, handle: bytes) -> dict:
        return self._panel.enrolment.answer(handle)

    def pin_set(self, handle, salt, iterations, hash, duress=False) -> dict:
        self._residents.set_pin(handle, salt, iterations, hash, duress)
        self._vault.append("credential_set", handle, b"duress pin" if duress else b"pin")
        return {}

    def card_put(self, handle, uid, key=b"") -> dict:
        if self._panel.refusals.lost(uid):
            raise Refused("this card was reported lost")
        if not key and not self._panel.settings["uid_only"]:
            raise Refused("the policy of this panel lets no card in by its UID alone")
        self._residents.add_card(handle, uid, key)
        self._vault.append("credential_set", handle, b"card" if key else b"card uid only")
        return {}

    def card_lost(self, uid: bytes) -> dict:
        """The card goes first, the list of lost ones second: with that full, this card is still without rights."""
        owner = self._residents.of_card(uid)
        if owner is not None:
            self._residents.drop_credential(owner.handle, "card", uid)
        if not self._panel.refusals.lost(uid):
            self._panel.refusals.report_lost(uid)
            self._vault.append("credential_dropped", owner.handle if owner else None, b"card lost")
        return {"dropped": int(owner is not None)}

    async def card_wait(self, wait_s: int) -> dict:
        return {"uid": await self._panel.card_desk.wait(wait_s)}

    def card_apdu(self, apdu: bytes) -> dict:
        return {"answer": self._panel.card_desk.exchange(apdu)}

    def card_done(self) -> dict:
        self._panel.card_desk.done()
        return {}

    def visitor_revoke(self, flat, number, until) -> dict:
        self._panel.refusals.note(flat, number, until, REVOKED)
        self._vault.append("credential_dropped", None, b"visitor")
        return {}

    def credential_drop(self, handle, kind, uid=None) -> dict:
        dropped = self._residents.drop_credential(handle, kind, uid)
        if dropped:
            self._vault.append("credential_dropped", handle, kind.encode())
        return {"dropped": dropped}

    def wipe_face(self, handle, reason) -> dict:
        receipt = wipe(self._panel, handle, reason)
        if receipt is None:
            raise NotFound("no face of this resident is stored on this panel")
        return {"receipt": receipt}

    def receipts(self, since, limit) -> dict:
        found = self._vault.receipts(since, limit)
        return {
            "receipts": [receipt for _, receipt in found],
            "next": found[-1][0] + 1 if found else since,
            "waiting": self._vault.receipts_waiting,
        }

    def receipts_ack(self, upto: int) -> dict:
        self._vault.acknowledge_receipts(upto)
        return {"waiting": self._vault.receipts_waiting}

    def log_export(self, since, limit) -> dict:
        found = self._vault.log(since, limit)
        return {
            "before": self._vault.log_before(since),
            "entries": [entry.body + entry.hash for entry in found],
            "next": found[-1].sequence + 1 if found else since,
        }

    def tombstones(self, items: list) -> dict:
        stones = [(i["what"], i["handle"], i["sequence"], i["time"]) for i in items]
        return {"wiped": self._panel.bury(stones), "receipts_waiting": self._vault.receipts_waiting}

    async def decommission(self, panel_id: bytes) -> dict:
        if panel_id != self._vault.keys.panel_id:
            raise Refused("this is another panel than the one to be given up")
        left = await self._panel.clearing.work()
        clearance = self._vault.clearance
        return {"left": left, "clearance": clearance} if clearance else {"left": left}

    def decommission_done(self, clearance_hash: bytes) -> dict:
        self._panel.clearing.done(clearance_hash)
        return {}

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

    def console(self, since, limit) -> dict:
        lines, following = console_lines(since, limit)
        return {"lines": lines, "next": following}

    def parity(self, since, limit) -> dict:
        return {"rows": self._panel.parity.rows(since, limit), "bins_ms": list(parity.BINS_MS)}

    def set_policy(self, **wanted) -> dict:
        self._panel.settings.change(wanted)
        self._vault.append("policy_set", detail=_risks(wanted))
        self._panel.apply_settings()
        return {}

    async def selftest(self, check: str = "", release: bool = False) -> dict:
        from firmware.services import selftest

        if not check:
            return {"checks": selftest.CHECKS}
        return await selftest.Selftest(self._panel).run(check, release)

    def network(self) -> dict:
        return self._panel.uplink.told()

    def network_set(self, **wanted) -> dict:
        self._panel.uplink.change(wanted)
        self._vault.append("policy_set", detail=b"network")
        return {}

    def maintain(self, token: bytes, end: bool = False) -> dict:
        upkeep = self._panel.upkeep
        if not end:
            return upkeep.ask(token)
        upkeep.end(token)
        return upkeep.report()

    def maintenance_end(self) -> dict:
        self._panel.upkeep.end()
        return {}

    def aim(self, id: int, seconds: int) -> dict:
        if self._panel.aim is None:
            from firmware.services.aim import Aim

            self._panel.aim = Aim(self._panel)
        return self._panel.aim.ask(id, seconds)

    async def aim_frame(self, band: int, level=None) -> dict:
        if self._panel.aim is None:
            raise Refused("aiming was not allowed")
        return await self._panel.aim.frame(band, level)

    def aim_end(self) -> dict:
        if self._panel.aim:
            self._panel.aim.end()
        return {}

    def update_key(self, key: bytes) -> dict:
        self._update().pin(key)
        return {}

    def update_begin(self, manifest: bytes, sig: bytes) -> dict:
        return self._update().begin(manifest, sig)

    def update_data(self, name: str, offset: int, data: bytes) -> dict:
        return self._update().data(name, offset, data)

    async def update_finish(self) -> dict:
        return await self._update().finish()

    def update_switch(self, version: str) -> dict:
        self._update().switch(version)
        return {}

    def update_verdict(self, version: str, well: bool) -> dict:
        self._update().verdict(version, well)
        return {}

    def update_state(self) -> dict:
        return self._update().state()

    def _update(self):
        """Loaded when it is first needed."""
        if self._update_service is None:
            from firmware.services.update import Update

            self._update_service = Update(self._panel)
        return self._update_service

    def feed(self, at: int, data: bytes, uses: int = 1) -> dict:
        board = self._panel.board
        if not board.takes_frames:
            raise Refused("this panel has a camera of its own")
        whole = board.camera.feed(at, data, uses)
        if whole:
            self._panel.face.recover()
        return {"whole": whole}

    def _set_consent(self, handle, state, consent_id, notice_hash) -> None:
        self._residents.set_consent(handle, state, self._panel.board.clock.now()[0], consent_id, notice_hash)


def _risks(wanted: dict) -> bytes:
    """What of a new policy the log must name: that cards may be copied from now on, or no longer."""
    return b"" if "uid_only" not in wanted else b"uid_only on" if wanted["uid_only"] else b"uid_only off"


def _text(detail: bytes) -> str:
    """Words as they are, an id in hex."""
    if all(32 <= c < 127 for c in detail):
        return str(detail, "ascii")
    return str(hexlify(detail), "ascii")
