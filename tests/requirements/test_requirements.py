"""What law demands of the whole: one test or more a requirement, on a virtual panel and the registry beside it.

README.md in this folder says which requirement is met where and lists the tests that live elsewhere.
"""

from __future__ import annotations

import base64
import contextlib
import os
import re
import shutil
import sqlite3
import subprocess
import threading
import time
from datetime import date
from html import unescape
from pathlib import Path

import pytest
from house import House
from places import content, lose

from firmware.base.errors import BadRequest
from firmware.link.ops import OPS, request_fields
from firmware.vault.receipt import ERASED_HASH
from host_tools import (
    approval,
    backup,
    certificate,
    chains,
    consent,
    enrol,
    impact,
    ledger,
    notices,
    receipts,
    renewal,
    residents,
    subject,
    wipe,
)
from host_tools.credentials import set_pin
from host_tools.errors import HostError, NoConsent, NotApproved, RefusedByPanel, RegistryConflict
from host_tools.link.carrier import SerialCarrier
from host_tools.site import Site, deadlines, history
from host_tools.site.registry import Registry
from tests.host_tools.test_cli_commands import undocumented

DAY_S = 86_400
FACE = ("handle", "consent_id", "notice_hash", "model_id", "expiry", "templates")


def new_notice(version: int, folder: Path) -> notices.Notice:
    text = notices.resources.files("host_tools.notices").joinpath("face-door.en.txt").read_text("utf-8")
    file = folder / f"notice-{version}.txt"
    file.write_text(text.replace("version: 1", f"version: {version}").replace("1 year at most", "2 years at most"))
    return notices.load(str(file))


# 1 to 5: consent


def test_req_01_no_template_without_a_consent_id(house: House) -> None:
    ann = house.add("Ann One")
    fields = dict(zip(FACE, (ann.handle, os.urandom(16), bytes(32), house.model_id, 0, [bytes(128)]), strict=True))
    with pytest.raises(NoConsent):
        house.panel.request("enrol_put", **fields)
    for missing in ("consent_id", "notice_hash"):
        message = {name: value.hex() if isinstance(value, bytes) else value for name, value in fields.items()}
        message["templates"] = [bytes(128).hex()]
        del message[missing]
        with pytest.raises(BadRequest):
            request_fields("enrol_put", {"op": "enrol_put", **message})
    with pytest.raises(NoConsent, match="never asked"):
        enrol.from_photo(house.site, house.panel, ann, house.folder / "no-picture-is-looked-at.jpg")


def test_req_02_a_changed_notice_asks_again_and_who_does_not_renew_is_erased(house: House) -> None:
    keeps, lapses = house.resident_with_face("Keeps"), house.resident_with_face("Lapses")
    assert house.site.consent(house.panel, keeps).notice_hash == notices.load().hash
    changed = new_notice(2, house.folder)
    assert changed.hash != notices.load().hash
    due = house.menshen("consent", "adopt", str(house.folder / "notice-2.txt"), "--days", "30", "--yes", "--json").json
    assert {item["name"] for item in due} >= {"Keeps", "Lapses"}
    assert "Lapses" in house.menshen("consent", "outstanding").out and house.menshen("deadlines").code == 0
    with pytest.raises(NoConsent, match="older notice"):
        enrol.put(house.site, house.panel, lapses, *_standing(house, lapses), [bytes(128)])
    agreed = consent.give(house.site, house.panel, keeps, changed, house.paper)
    enrol.put(house.site, house.panel, keeps, agreed, house.model_id, [os.urandom(128)])
    before = house.faces()
    with house.site.registry.transaction() as db:
        db.execute("UPDATE notices SET renew_by = 1")
    outcomes = renewal.lapse(house.site)
    assert all(outcome.confirmed for outcome in outcomes) and house.faces() == before - len(outcomes)
    assert house.site.consent(house.panel, lapses).state == "expired"
    assert house.site.consent(house.panel, keeps).state == "given"
    wiped = [receipts.read(kept.data) for kept in house.site.receipts() if kept.handle == lapses.handle]
    assert [receipt.reason for receipt in wiped] == ["notice"]
    with house.site.registry.transaction() as db:
        db.execute("DELETE FROM notices")


def test_req_02_a_question_ends_nothing_and_a_no_erases_at_once(house: House) -> None:
    ivy, changed = house.resident_with_face("Ivy"), new_notice(3, house.folder)
    before = house.faces()
    consent.ask(house.site, house.panel, ivy, changed)
    house.power_off()
    house.power_on()
    assert house.faces() == before  # asked, but not answered: the consent before it stands
    consent.ask(house.site, house.panel, ivy, changed)
    house.sim.press("*")
    _until(lambda: consent.refresh(house.site, house.panel, ivy).state == "declined")
    assert house.faces() == before - 1
    kept = [receipts.read(kept.data).reason for kept in house.site.receipts() if kept.handle == ivy.handle]
    assert kept == ["notice"] and "given" not in [given.state for given in house.site.consents(ivy)]


def _standing(house: House, resident: object) -> tuple[object, bytes]:
    return enrol._standing(house.site, house.panel, resident, False), house.model_id


def test_req_03_under_14_only_with_a_guardian_s_record_and_never_by_default(house: House) -> None:
    assert residents.under_14("2015-03-01", date(2026, 1, 1)) and not residents.under_14("2012-01-01", date(2026, 1, 1))
    kid = house.menshen("resident", "add", "Kid", "--flat", "399", "--born", "2020-02-29", "--json").json
    assert kid["under_14"] is True
    child = house.add("Child", under_14=True)
    with pytest.raises(NoConsent, match="guardian"):
        consent.ask(house.site, house.panel, child, notices.load())
    with pytest.raises(NoConsent, match="guardian"):
        house.agree(child)
    house.agree(child, guardian="Wang Li, mother")
    with pytest.raises(NoConsent, match="--child"):
        enrol.live(house.site, house.panel, child)
    agreed = enrol._standing(house.site, house.panel, child, True)
    assert agreed.evidence["guardian"] == "Wang Li, mother"
    assert b"2020-02-29" not in content(house.place)  # no birth date is kept


def test_req_04_consent_is_separate_and_never_preset(house: House) -> None:
    ben = house.add("Ben Four")
    set_pin(house.site, house.panel, ben)
    assert house.panel.request("consent_state", handle=ben.handle)["state"] == "none"
    assert house.site.consents(ben) == []
    asked = consent.ask(house.site, house.panel, ben, notices.load())
    assert asked.state == "asked"  # silence is no consent
    with pytest.raises(NoConsent):
        enrol.live(house.site, house.panel, ben)
    assert not any("consent" in name for op in ("resident_put", "pin_set", "card_put") for name, _ in OPS[op][0])
    house.sim.press("*")
    _until(lambda: consent.refresh(house.site, house.panel, ben).state == "declined")


def test_req_05_withdrawing_takes_one_command_and_works_at_the_panel(house: House) -> None:
    cleo = house.add("Cleo")
    house.enrol(cleo)
    assert house.menshen("consent", "withdraw", "Cleo", "--yes").code == 0  # giving was one command as well
    dora = house.resident_with_face("Dora")
    set_pin(house.site, house.panel, dora, "735192")
    before = house.faces()
    house.sim.press(f"*{dora.flat}#735192#")
    time.sleep(0.3)
    house.sim.press("#")
    _until(lambda: house.faces() == before - 1)
    assert all(outcome.confirmed for outcome in ledger.retry(house.site))
    assert house.site.consent(house.panel, dora).state == "withdrawn"
    (row,) = deadlines.of(house.site, dora.handle)
    assert (row.state, row.cause, row.reference) == ("confirmed", "withdrawal", "at the panel")


# 9 to 13: deletion


def test_req_09_withdrawal_stops_matching_at_once(house: House) -> None:
    eve = house.resident_with_face("Eve")
    started = time.monotonic()
    done = consent.withdraw(house.site, house.panel, eve)
    assert time.monotonic() - started < 1.0 and done.receipt and not done.waiting
    with pytest.raises(RefusedByPanel, match="No face"):
        house.panel.request("wipe_face", handle=eve.handle, reason="request")
    assert consent.withdraw(house.site, house.panel, eve).receipt == done.receipt  # repeating changes nothing


def test_req_09_a_withdrawal_waits_for_a_panel_that_is_off_and_is_done_at_the_next_contact(house: House) -> None:
    fred = house.resident_with_face("Fred")
    house.power_off()
    queued = house.menshen("consent", "withdraw", "Fred", "--yes")
    assert queued.code == 17 and "counts from now on" in queued.err
    (pending,) = house.menshen("deadlines", "--json").json
    assert (pending["panel"], pending["cause"], pending["state"]) == ("front door", "withdrawal", "pending")
    assert 4 * DAY_S < pending["left_s"] <= 5 * DAY_S and pending["tries"] == 1
    house.power_on()  # its first contact is about something else
    assert deadlines.pending(house.site) == []
    (row,) = deadlines.of(house.site, fred.handle)
    assert row.proof == "receipt" and receipts.verify(row.receipt, house.panel.record.device_pub)


def test_req_10_five_days_and_an_overdue_deletion_exits_non_zero(house: House) -> None:
    gina = house.resident_with_face("Gina")
    absent = house.absent_panel("garage", gina)
    outcomes = wipe.wipe_everywhere(house.site, gina, "order", "(2026) 0102-1234", days=10)
    assert sorted(outcome.confirmed for outcome in outcomes) == [False, True]
    (pending,) = deadlines.pending(house.site, gina.handle)
    assert pending.panel_id == absent and pending.due - pending.opened == 10 * DAY_S
    assert deadlines.days_for(house.site, "withdrawal") == 5
    calendar = house.folder / "due.ics"
    told = house.menshen("deadlines", "--ics", str(calendar))
    assert told.code == 0 and "garage" in told.out
    event = calendar.read_text()
    assert f"UID:{house.site.site_id.hex()}-{pending.id}@menshen" in event and "\r\n" in calendar.read_bytes().decode()
    assert "Gina" not in event
    with house.site.registry.transaction() as db:
        db.execute("UPDATE deadlines SET due = opened - 1 WHERE id = ?", (pending.id,))
    late = house.menshen("deadlines", "--json")
    assert late.code == 18 and '"overdue": true' in late.out
    assert house.menshen("deadlines", "--retry").code == 18  # it stays in sight until it confirms
    house.retire(absent)
    assert house.menshen("deadlines").code == 0
    assert house.menshen("deadline-days", "order", "30").code == 0 and deadlines.days_for(house.site, "order") == 30


def test_req_11_the_block_with_record_and_key_is_erased(house: House) -> None:
    hugo = house.resident_with_face("Hugo")
    before = house.flash()
    receipt = receipts.full(wipe.wipe_face(house.site, house.panel, hugo))
    ((block, old, new),) = receipt.blocks
    was, now = (image[4096 * block : 4096 * (block + 1)] for image in (before, house.flash()))
    assert old == receipts.hashlib.sha256(was).digest() and now == b"\xff" * 4096 and new == ERASED_HASH


def test_req_12_no_byte_of_the_template_is_left_plain_or_sealed(house: House) -> None:
    iris = house.add("Iris")
    templates = house.enrol(iris)
    sealed = house.flash()
    for template in templates:
        assert template[:16] not in sealed  # never in the clear, even while it is stored
    receipt = receipts.full(wipe.wipe_face(house.site, house.panel, iris))
    block = receipt.blocks[0][0]
    record = sealed[4096 * block : 4096 * (block + 1)].rstrip(b"\xff")
    image = house.flash()
    known = house.site.consent(house.panel, iris).consent_id  # the log names it, and it is random
    pieces = [record[at : at + 16] for at in range(32, len(record) - 16) if record[at : at + 16] != known]
    assert not [piece for piece in pieces if len(set(piece)) > 4 and piece in image]
    assert b"Iris" not in image


def test_req_13_a_power_cut_during_the_wipe_never_brings_the_face_back(house: House) -> None:
    """Whenever it comes; the faults' campaign cuts after every single operation on the flash."""
    for delay_s in (0.002, 0.01, 0.02, 0.03):
        jack = house.resident_with_face(f"Jack {delay_s}")
        others = house.faces() - 1
        deadlines.open_(house.site, jack.handle, house.panel.panel_id, "withdrawal")
        cut = threading.Timer(delay_s, house.sim.kill)
        cut.start()
        with contextlib.suppress(HostError):
            house.panel.request("consent_withdraw", timeout_s=0.1, handle=jack.handle)
        cut.join()
        house.panel.close()
        house.power_on()
        assert house.faces() == others
        house.power_off()
        house.power_on()
        assert house.faces() == others
        owed = deadlines.of(house.site, jack.handle)
        assert [row.proof for row in owed] == ["receipt"]
        kept = [receipts.verify(k.data, house.panel.record.device_pub) for k in house.site.receipts()]
        assert len([info for info in kept if info.handle == jack.handle]) == 1


# 14 to 18: proof and traces


def test_req_14_the_certificate_says_what_a_court_must_know_and_no_more(house: House) -> None:
    kate = house.add("柯 凯特")
    templates = house.enrol(kate)
    absent = house.absent_panel("后门", kate)
    consent.withdraw_everywhere(house.site, kate)
    made = house.menshen("certificate", "柯 凯特", "--out", str(house.folder / "kate"), "--json").json
    assert made["complete"] is False
    page = (house.folder / "kate.html").read_text("utf-8")
    text = unescape(re.sub(r"<style>.*?</style>", "", page, flags=re.S))
    receipt = receipts.full(next(kept.data for kept in house.site.receipts() if kept.handle == kate.handle))
    for told in ("柯 凯特", "NOT COMPLETE", "尚未确认删除", "后门", "front door", str(receipt.counter)):
        assert told in text, told
    for digest in (receipt.blocks[0][1], receipt.blocks[0][2], receipt.chain_head):
        assert digest.hex() in text
    assert "src=" not in page.replace("src: url(data:", "") and "http" not in page.replace("http://www.w3.org", "")
    (link,) = re.findall(r'download="receipt-1.bin" href="data:application/octet-stream;base64,([^"]+)"', page)
    (house.folder / "scanned.txt").write_text(link)
    key = house.panel.record.device_pub.hex()
    assert house.menshen("receipt", "verify", str(house.folder / "scanned.txt"), "--key", key).code == 0
    paper = (house.folder / "kate.pdf").read_bytes()
    for secret in (*templates, house.panel.record.link_key):
        for form in (secret, secret.hex().encode(), base64.b64encode(secret)):
            assert form not in page.encode() and form not in paper
    house.retire(absent)
    whole = certificate.gather(house.site, kate)
    assert whole.complete and next(panel.state for panel in whole.panels) == "erased"


def test_req_14_the_pdf_renders_both_languages(house: House) -> None:
    if not shutil.which("pdftotext"):
        pytest.skip("pdftotext (poppler-utils) is not installed")
    liz = house.resident_with_face("刘丽")
    consent.withdraw(house.site, house.panel, liz)
    _, paper = certificate.write(certificate.gather(house.site, liz), house.folder / "liz")
    text = subprocess.run(["pdftotext", str(paper), "-"], capture_output=True, text=True, check=True).stdout
    for told in ("人脸信息删除证明", "Certificate of erasure", "刘丽", "签名有效", "如何核实"):
        assert told in text, told
    fonts = subprocess.run(["pdffonts", str(paper)], capture_output=True, text=True, check=True).stdout
    assert all(" yes yes yes" in line for line in fonts.splitlines()[2:] if "Helvetica" not in line)


def test_req_15_backups_logs_exports_and_console_hold_no_face_and_no_score(house: House) -> None:
    mona = house.add("Mona")
    templates = house.enrol(mona)
    backup.backup(house.site, house.folder / "mona.db")
    exported = subject.readable(subject.export(house.site, mona)).encode()
    chains.fetch(house.site, house.panel)
    stores = [content(house.place), (house.folder / "mona.db").read_bytes(), exported, house.sim.console().encode()]
    for template in templates:
        for form in (template[:24], template[:24].hex().encode(), base64.b64encode(template[:24])):
            assert not any(form in store for store in stores)
    entries = house.panel.request("log", since=0, limit=32)["entries"]
    assert entries and not any(set(entry) - {"seq", "time", "kind", "handle", "detail"} for entry in entries)
    assert not any("score" in entry["detail"] for entry in entries)


def test_req_16_a_failed_erase_is_never_reported_as_done(house: House) -> None:
    nils = house.resident_with_face("Nils")

    class Resisting:
        """The panel, whose block does not erase."""

        name, panel_id, record = house.panel.name, house.panel.panel_id, house.panel.record

        def connected(self) -> None:
            pass

        def request(self, op: str, **_: object) -> dict[str, object]:
            raise RefusedByPanel("A block does not erase.", "erase_failed")

    failed = consent.withdraw(house.site, Resisting(), nils)  # type: ignore[arg-type]
    assert failed.receipt is None and failed.waiting and "does not erase" in failed.problem
    assert certificate.gather(house.site, nils).unconfirmed
    assert deadlines.pending(house.site, nils.handle)[0].problem
    assert ledger.settle(house.site, house.panel)[0].confirmed


def test_req_17_an_old_backup_of_the_registry_brings_nobody_back(house: House) -> None:
    olga, paul = house.resident_with_face("Olga"), house.resident_with_face("Paul Leaves")
    file = house.folder / "old.db"
    assert house.menshen("site", "backup", str(file)).code == 0
    consent.withdraw(house.site, house.panel, olga)
    residents.move_out(house.site, paul)
    later = house.resident_with_face("Later")
    for running in (True, False):
        if not running:  # the registry itself is lost; the tombstones beside it are not
            house.site.close()
            lose(house.place)
        assert house.menshen("site", "restore", str(file)).code == 2  # nobody confirms
        restored = house.menshen("site", "restore", str(file), "--yes", "--json")
        assert restored.code == 0, restored.err
        house.site.close()
        house.site = Site.open(house.place)
        house.panel = house.site.panel("front door")
        names = [resident.name for resident in house.site.residents()]
        assert "Paul Leaves" not in names and ("Later" in names) == running
        assert house.site.consent(house.panel, olga).state == "withdrawn"
        assert all(enrolment.state == "wiped" for enrolment in house.site.enrolments(olga))
        assert house.menshen("log", "verify").code == 0
    house.panel.request("resident_drop", handle=later.handle)
    copy = sqlite3.connect(file)
    assert "Paul Leaves" in [row[0] for row in copy.execute("SELECT name FROM residents")]  # the backup was older
    copy.close()


def test_req_17_an_old_flash_image_brings_nobody_back(house: House) -> None:
    quinn, stays = house.resident_with_face("Quinn"), house.resident_with_face("Stays")
    image = house.flash()
    consent.withdraw(house.site, house.panel, quinn)
    before = house.faces()
    house.power_off()
    (house.sim.state / "vault.bin").write_bytes(image)
    house.power_on()
    assert house.faces() == before + 1  # the old image is back, face and all
    assert house.menshen("deadlines", "--retry").code == 0
    assert house.faces() == before
    reasons = [receipts.read(kept.data).reason for kept in house.site.receipts() if kept.handle == quinn.handle]
    assert reasons == ["withdrawn", "restored"]
    assert house.panel.request("consent_state", handle=stays.handle)["state"] == "given"


def test_req_18_traffic_holds_no_image_and_no_plaintext_template(house: House) -> None:
    passed = bytearray()

    class Tapped(SerialCarrier):
        def write(self, data: bytes) -> None:
            passed.extend(data)
            super().write(data)

        def read(self) -> bytes:
            data = super().read()
            passed.extend(data)
            return data

    rita = house.add("Rita")
    agreed = house.agree(rita)
    templates = [os.urandom(128) for _ in range(4)]
    house.panel.close()
    with Site(Registry(house.place), open_carrier=Tapped) as site:
        enrol.put(site, site.panel("front door"), rita, agreed, house.model_id, templates)
    frames = re.findall(rb"~([A-Za-z0-9+/]+=*)\r\n", bytes(passed))
    payloads = b"".join(base64.b64decode(frame) for frame in frames)
    assert len(payloads) > 4 * 128
    for template in templates:
        for form in (template[:12], template[:12].hex().encode()):
            assert form not in payloads and form not in passed
    images = [name for op in OPS.values() for name, _ in op[0] + op[1] if "image" in name or "frame" in name]
    assert images == []


# 20 to 23: time, numbers, paper


def test_req_20_a_face_whose_retention_ended_erases_itself(house: House) -> None:
    sam = house.add("Sam")
    house.enrol(sam, days=1)
    before = house.faces()
    house.sim.clock_step(2 * DAY_S)
    try:
        house.power_off()
        house.power_on()
        _until(lambda: house.faces() == before - 1)
    finally:
        house.sim.clock_step(-2 * DAY_S)
    receipts.collect(house.site, house.panel)
    reasons = [receipts.read(kept.data).reason for kept in house.site.receipts() if kept.handle == sam.handle]
    assert reasons == ["expired"]
    assert all(enrolment.state == "wiped" for enrolment in house.site.enrolments(sam))


def test_req_21_fetched_logs_older_than_90_days_are_purged_and_the_rest_still_verifies(house: House) -> None:
    chains.fetch(house.site, house.panel)
    assert chains.purge(house.site) == 0
    rows = house.site.registry.rows("SELECT seq, body FROM panel_log ORDER BY seq")
    middle = int.from_bytes(rows[len(rows) // 2]["body"][16:24], "little")
    with Site(_copy(house)) as site:
        purged = chains.purge(site, now=middle + 90 * DAY_S + 1)
        left = site.registry.rows("SELECT seq FROM panel_log")
        assert purged and left and len(left) == len(rows) - purged
        assert chains.verify_panel(site, site.panel("front door").record) == []


def test_req_22_a_warning_comes_before_100_000_persons(house: House) -> None:
    assert impact.FILING_PERSONS == 100_000
    house.resident_with_face("Tess")
    assert impact.filing_warning(house.site) == ""
    house.site.set_setting("filing_persons", impact.persons(house.site))
    try:
        assert "30 working days" in impact.filing_warning(house.site)
        assert "must be filed" in house.menshen("report", "impact").err
    finally:
        house.site.set_setting("filing_persons", impact.FILING_PERSONS)


def test_req_23_assessments_and_the_audit_are_kept_for_three_years(house: House) -> None:
    data = house.menshen("report", "impact", "--json").json
    assert {model["name"] for model in data["models"]} >= {"detector", "embedder"}
    assert data["stored"] and data["retention"] and data["measures"] and data["figures"]["receipts"] >= 0
    kept = impact.kept(house.site)[-1]
    assert kept["keep_until"] - kept["made"] >= 3 * 365 * DAY_S and kept["body"]["measures"] == data["measures"]
    for attack in ("DELETE FROM reports", "DELETE FROM history", "UPDATE history SET actor = 'nobody'"):
        with pytest.raises(RegistryConflict), house.site.registry.transaction() as db:
            db.execute(attack)


# The further demands


def test_an_altered_or_truncated_chain_is_detected_and_located(house: House) -> None:
    chains.fetch(house.site, house.panel)
    whole = house.menshen("log", "verify", "--json")
    assert whole.code == 0 and whole.json["breaks"] == [] and whole.json["entries"]["front door"] > 9
    head = history.read_head(house.site.registry.beside)
    for attack, chain, what in (
        ("UPDATE history SET detail = '{}' WHERE seq = 4", "host", (4, "altered")),
        ("DELETE FROM history WHERE seq = 5", "host", (6, "altered")),
        ("DELETE FROM history WHERE seq > 6", "host", (7, "truncated")),
        ("UPDATE panel_log SET body = zeroblob(64) WHERE seq = 9", "front door", (9, "altered")),
        ("DELETE FROM panel_log WHERE seq = 9", "front door", (9, "missing")),
    ):
        with Site(_copy(house)) as site:
            (unanchored,) = chains.verify(site, ask_panels=False)
            assert unanchored.what == "unanchored"  # nothing beside this copy says how long its history must be
            with site.registry.transaction() as db:
                db.execute("DROP TRIGGER history_is_not_changed")
                db.execute("DROP TRIGGER history_is_not_shortened")
                db.execute(attack)
            if head:
                history.write_head(site.registry.beside, *head)
            found = [(b.chain, b.seq, b.what) for b in chains.verify(site, ask_panels=False)]
            assert (chain, *what) in found and len(found) == 1, (attack, found)


def test_a_panel_s_log_that_became_shorter_is_told(house: House) -> None:
    chains.fetch(house.site, house.panel)
    following = house.status()["log_next"]
    house.panel.close()
    with Site(_copy(house)) as site:
        panel = site.panel("front door")
        with site.registry.transaction() as db:  # as if it had been fetched before the panel lost it
            db.execute(
                "INSERT INTO panel_log SELECT panel_id, 1000000, body, hash, previous FROM panel_log LIMIT 1",
            )
        (found,) = chains.verify_live(site, panel)
        assert (found.chain, found.what) == ("front door", "truncated") and found.seq >= following


def test_a_bulk_deletion_needs_two_approvers_or_the_word_and_the_site_key(house: House) -> None:
    for name in ("ann", "bob"):
        assert house.menshen("site", "approver", name, stdin=f"{name} and a long secret\n").code == 0
    assert house.menshen("site", "approver", "cid", stdin="short\n").code == 2
    key = house.menshen("site", "key", "--json").json["site_key"]
    assert house.menshen("site", "key").code == 20  # there is one, and only its holder has another made
    house.resident_with_face("Uma")
    before = house.faces()
    assert before > 0
    both = "ann and a long secret\nbob and a long secret\n"
    for words, stdin in (
        (("--approve", "ann"), both),
        (("--approve", "ann", "--approve", "ann"), both),
        (("--approve", "ann", "--approve", "bob"), "ann and a long secret\nwrong and long secret\n"),
        (("--yes",), "0000-0000\n"),
    ):
        assert house.menshen("wipe", "--all", *words, stdin=stdin).code == 20, words
    assert house.menshen("wipe", "--all", stdin=key).code == 2  # nobody types the word
    assert house.faces() == before
    assert house.menshen("wipe", "--all", "--approve", "ann", "--approve", "bob", stdin=both).code == 0
    assert house.faces() == 0
    house.resident_with_face("Vera")
    assert house.menshen("wipe", "--all", "--yes", stdin=key + "\n").code == 0 and house.faces() == 0
    with pytest.raises(NotApproved):
        approval.by_two(house.site, [("ann", "ann and a long secret"), ("the site key", key)])


def test_everything_known_about_one_person_is_exported(house: House) -> None:
    wang = house.resident_with_face("Wang Fang")
    set_pin(house.site, house.panel, wang)
    data = house.menshen("export", "Wang Fang", "--json").json
    assert data["person"]["name"] == "Wang Fang" and data["consents"][0]["state"] == "given"
    assert data["face_records"][0]["templates"] == 4 and data["credentials"][0]["kind"] == "pin"
    assert {entry["kind"] for entry in data["panel_logs"]} >= {"consent_given", "face_put", "credential_set"}
    assert {entry["action"] for entry in data["history"]} >= {"resident_added", "consent_given", "enrolled"}
    text = house.menshen("export", "Wang Fang", "--out", str(house.folder / "wang"))
    assert text.code == 0 and "Wang Fang" in (house.folder / "wang.txt").read_text()
    assert house.menshen("resident", "move-out", "Wang Fang", "--yes").code == 0
    forgotten = house.menshen("export", wang.handle.hex(), "--json").json
    assert forgotten["person"]["name"] == "" and forgotten["deletions"]


def test_a_panel_is_given_up_by_two_and_signs_that_it_is_empty(house: House) -> None:
    """Last: the panel is fresh after it."""
    xena = house.resident_with_face("Xena")
    both = "ann and a long secret\nbob and a long secret\n"
    assert house.menshen("panel", "decommission", "front door", "--approve", "ann", stdin=both).code == 20
    done = house.menshen(
        "panel", "decommission", "front door", "--approve", "ann", "--approve", "bob", "--json", stdin=both
    )
    assert done.code == 0, done.err
    assert done.json["faces"] >= 1 and undocumented("panel decommission", done.json) == []
    (row,) = deadlines.of(house.site, xena.handle)
    assert (row.cause, row.state, row.proof) == ("decommission", "confirmed", "clearance")
    assert certificate.gather(house.site, xena).complete
    assert house.site.panel_records() == []


def _copy(house: House) -> Registry:
    copy = house.folder / f"copy-{os.urandom(4).hex()}.db"
    backup.backup(house.site, copy)
    return Registry(copy)


def _until(true: object, patience_s: float = 15.0) -> None:
    deadline = time.monotonic() + patience_s
    while not true():  # type: ignore[operator]
        assert time.monotonic() < deadline
        time.sleep(0.1)
