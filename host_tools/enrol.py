"""Enrolment: templates from photographs, or taken live at the panel. Neither is kept here."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from firmware.base.errors import MenshenError
from host_tools import renewal
from host_tools.errors import LinkFailed, NoConsent, Usage, from_code
from host_tools.site import Consent, Enrolment, Panel, Resident, Site
from host_tools.site.sending import sending

DAY_S = 86_400
RETENTION_DAYS = 365
VIEWS = 4  # that a record holds; the panel compares with each
_STORE_S = 20.0  # at most, from the last view to the stored record
_POLL_S = 0.3


@dataclass(frozen=True)
class Progress:
    """Of a live enrolment: `done` of `count` views are taken; `hint`: what to do, "" when all is well."""

    done: int
    count: int
    hint: str


Photo = str | Path | NDArray[np.uint8]


def from_photo(
    site: Site,
    panel: Panel,
    resident: Resident,
    *photos: Photo,
    retention_days: int = RETENTION_DAYS,
    child: bool = False,
) -> Enrolment:
    """Templates of one person's photographs, through the panel's own models, stored in the panel.

    `child`: also of a person under 14, with a guardian's consent.

    Raises NoConsent, UnreadablePicture, NoFace, ManyFaces, TooPoor before anything is sent.
    """
    consent = _standing(site, panel, resident, child)
    model_id, templates = templates_of(*photos)
    return put(site, panel, resident, consent, model_id, templates, retention_days)


def templates_of(*photos: Photo) -> tuple[bytes, list[bytes]]:
    """(model id, templates of 128 bytes each), what fits a record taken from each photograph in turn."""
    # The models' runtime takes a second to load, and only enrolment needs it.
    from host_tools.vision.pipeline import FacePipeline, templates_from_photo

    if not photos:
        raise Usage("Enrolment needs at least one picture.")
    pipeline = FacePipeline()
    try:
        found = [templates_from_photo(photo, pipeline=pipeline).templates for photo in photos]
    except MenshenError as error:
        raise from_code(error.code, str(error)) from error
    deepest = max(len(templates) for templates in found)
    in_turn = [templates[i] for i in range(deepest) for templates in found if i < len(templates)]
    return pipeline.model_id, in_turn[:VIEWS]


def put(
    site: Site,
    panel: Panel,
    resident: Resident,
    consent: Consent,
    model_id: bytes,
    templates: Sequence[bytes],
    retention_days: int = RETENTION_DAYS,
) -> Enrolment:
    def ask(fields: dict[str, Any]) -> tuple[bytes, int]:
        reply = panel.request("enrol_put", **fields, model_id=model_id, templates=list(templates))
        return model_id, reply["templates"]

    return _enrol(site, panel, resident, consent, retention_days, ask)


def live(
    site: Site,
    panel: Panel,
    resident: Resident,
    count: int = VIEWS,
    wait_s: int = 45,
    retention_days: int = RETENTION_DAYS,
    child: bool = False,
    told: Callable[[Progress], None] = lambda progress: None,
) -> Enrolment:
    """The panel takes `count` good frames of whoever stands before it within `wait_s` seconds; `told` hears how it
    goes, whenever that has changed."""
    consent = _standing(site, panel, resident, child)

    def ask(fields: dict[str, Any]) -> tuple[bytes, int]:
        answer = panel.request("enrol_live", **fields, count=count, wait_s=wait_s)
        deadline = time.monotonic() + wait_s + _STORE_S
        said = None
        while answer["state"] == "looking":
            if said != (said := Progress(answer["done"], answer["count"], answer.get("hint", ""))):
                told(said)
            if time.monotonic() > deadline:
                raise LinkFailed("The panel does not come to an end with this. Look at it, then run the command again.")
            time.sleep(_POLL_S)
            with suppress(LinkFailed):  # the panel goes on meanwhile
                answer = panel.request("enrol_state", handle=resident.handle)
        if answer["state"] == "none":
            raise LinkFailed("The panel was restarted meanwhile. Run the command again.")
        if answer["state"] == "failed":
            raise from_code(answer["err"], answer["msg"])
        return answer["model_id"], answer["done"]

    return _enrol(site, panel, resident, consent, retention_days, ask)


def _enrol(
    site: Site,
    panel: Panel,
    resident: Resident,
    consent: Consent,
    retention_days: int,
    ask: Callable[[dict[str, Any]], tuple[bytes, int]],
) -> Enrolment:
    """`ask` has the panel store the face under the fields given; the model and the number of templates."""
    expiry = site.now() + retention_days * DAY_S
    # Whatever erases this record has a higher number in the panel's log, however wrong a clock may be.
    sequence = panel.request("status").get("log_next", 0)
    with site.registry.transaction() as db:
        row_id = db.execute(
            "INSERT INTO enrolments (handle, panel_id, consent_id, model_id, templates, expiry, state, enrolled, "
            "sequence) VALUES (?, ?, ?, ?, 0, ?, 'pending', ?, ?) RETURNING id",
            (resident.handle, panel.panel_id, consent.consent_id, b"", expiry, site.now(), sequence),
        ).fetchone()["id"]
    with sending(site, lambda db: db.execute("DELETE FROM enrolments WHERE id = ?", (row_id,))):
        model_id, count = ask(
            {
                "handle": resident.handle,
                "consent_id": consent.consent_id,
                "notice_hash": consent.notice_hash,
                "expiry": expiry,
            }
        )
    with site.registry.transaction() as db:
        db.execute(
            "UPDATE enrolments SET state = 'wiped' WHERE handle = ? AND panel_id = ? AND id != ?",
            (resident.handle, panel.panel_id, row_id),
        )
        db.execute(
            "UPDATE enrolments SET state = 'stored', model_id = ?, templates = ? WHERE id = ?",
            (model_id, count, row_id),
        )
    site.note("enrolled", resident.handle, panel.panel_id, consent=consent.consent_id.hex(), expiry=expiry)
    return Enrolment(consent.consent_id, model_id, count, expiry, "stored")


def _standing(site: Site, panel: Panel, resident: Resident, child: bool) -> Consent:
    consent = site.consent(panel, resident)
    if consent is None or consent.state != "given":
        state = consent.state if consent else "never asked"
        raise NoConsent(
            f"{resident.name} has not consented to a stored face ({state}). Nothing was sent. Run: menshen consent ask."
        )
    if renewal.outdated(site, consent):
        raise NoConsent(
            f"{resident.name} consented to an older notice than the one in force. Nothing was sent. "
            "Run: menshen consent ask."
        )
    if resident.under_14 and "guardian" not in consent.evidence:
        raise NoConsent(f"{resident.name} is under 14 and no guardian's consent is on record. Nothing was sent.")
    if resident.under_14 and not child:
        raise NoConsent(
            f"{resident.name} is under 14: faces of children are mistaken far more often, a card serves them better. "
            "Nothing was sent. Add --child to enrol all the same."
        )
    return consent
