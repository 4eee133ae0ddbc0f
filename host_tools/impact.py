"""The personal information impact assessment (PIPL Arts 55-56): what is stored where, how good the models are, how
long things are kept, what protects them. Each one made is kept for three years.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

from host_tools import chains, notices, renewal
from host_tools.certificate.text import moment
from host_tools.enrol import RETENTION_DAYS
from host_tools.image.tree import source_root
from host_tools.site import Site, deadlines, history
from host_tools.site.deadlines import CAUSES, days_for

KEEP_DAYS = 3 * 365 + 1
FILING_PERSONS = 100_000  # Measures for the Security Management of Facial Recognition Technology, Art. 15
_WARN_SHARE = 0.9

_STORED = (
    ("face templates (128 bytes each, no photograph)", "panels, sealed, one flash block a person", "opening a door"),
    ("PIN verifiers (PBKDF2), card UIDs and card keys", "panels, sealed", "opening a door"),
    ("flat number, rights, random handle", "panels, sealed", "opening a door"),
    ("names, flats, consents, face records' dates (no template)", "site registry", "administration, proof of consent"),
    ("receipts of deletions", "panels until fetched, site registry", "proof of deletion"),
    ("audit log: handles and kinds of event, no scores, no faces", "panels, copies in the site registry", "audit"),
    ("pictures", "nowhere: the frame buffer is zeroed after each attempt", "-"),
)
_MEASURES = (
    "Card and PIN open the same doors at the same hours; nobody needs to give a face.",
    "The panel refuses a face without a consent id and the hash of the notice that was agreed to.",
    "Matching happens on the panel; neither pictures nor templates leave it.",
    "Records are sealed by AES-256-CBC and HMAC-SHA256 under a key of their own; deleting erases record and key.",
    "Withdrawal, at the panel or through the management, ends matching at once; erasure is read back and signed.",
    "Every command to a panel is sealed and counted: forged and repeated ones change nothing.",
    "A power cut at any moment leaves no deleted face readable and loses no other resident's record.",
    "Deleted records cannot come back from a backup of the registry or of a panel's flash.",
    "Bulk deletions need two approvers, or a typed word and the site key.",
    "Failed attempts lock out with growing delays; leaving the building is never blocked.",
)


def report(site: Site) -> dict[str, Any]:
    """The assessment as data; kept in the registry, where it cannot be deleted for three years."""
    now = site.now()
    with site.registry.transaction() as db:
        chain = history.entries(db)
    data = {
        "made": now,
        "site": site.site_id.hex(),
        "stored": [dict(zip(("what", "where", "purpose"), row, strict=True)) for row in _STORED],
        "panels": [record.public() for record in site.panel_records()],
        "figures": _figures(site),
        "models": models(),
        "notices": _notices(site),
        "retention": retention(site),
        "measures": list(_MEASURES),
        "deletions": _deletions(site),
        "warning": filing_warning(site),
        "history_head": chain[-1].hash.hex() if chain else None,
    }
    _keep(site, "impact", data)
    return data


def models() -> list[dict[str, Any]]:
    """What each model's manifest publishes: figures with their sample sizes, terms, hashes."""
    found = []
    for path in sorted((source_root() / "models").glob("*/manifest.json")):
        manifest = json.loads(path.read_text(encoding="utf-8"))
        left_out = ("accumulators_beyond_20_bits",)
        found.append({name: value for name, value in manifest.items() if name not in left_out})
    return found


def retention(site: Site) -> dict[str, str]:
    days = {cause: days_for(site, cause) for cause in CAUSES}
    return {
        "face template": f"{RETENTION_DAYS} days unless enrolled for less; the panel erases it by itself",
        "picture": "not kept",
        "name and flat": "until the resident was removed and every panel has confirmed",
        "panel audit log": f"{chains.LOG_DAYS} days",
        "consents, receipts, history, assessments": "3 years and more, as evidence; without names once forgotten",
        "deletion deadlines": ", ".join(f"{cause} {number} days" for cause, number in days.items()),
    }


def persons(site: Site) -> int:
    """Distinct persons whose face is stored now."""
    row = site.registry.row("SELECT count(DISTINCT handle) AS n FROM enrolments WHERE state != 'wiped'")
    return int(row["n"]) if row else 0


def filing_warning(site: Site) -> str:
    """A sentence from nine tenths of the number on at which the authorities must be told; else nothing."""
    limit = site.setting("filing_persons", FILING_PERSONS)
    count = persons(site)
    if count < _WARN_SHARE * limit:
        return ""
    return (
        f"Faces of {count} persons are stored. From {limit} on the processing must be filed with the provincial "
        "cyberspace authority within 30 working days (Measures on facial recognition, Art. 15)."
    )


def kept(site: Site) -> list[dict[str, Any]]:
    rows = site.registry.rows("SELECT id, kind, made, keep_until, sha256, body FROM reports ORDER BY id")
    return [{**dict(row), "sha256": row["sha256"].hex(), "body": json.loads(row["body"])} for row in rows]


def readable(data: dict[str, Any]) -> str:
    lines = ["# Personal information impact assessment 个人信息保护影响评估", "", f"Made {moment(data['made'])}", ""]
    lines += ["## What is stored where, and for what", ""]
    lines += [f"- {item['what']}: {item['where']} ({item['purpose']})" for item in data["stored"]]
    lines += ["", "## Panels", "", *(f"- {panel['name']} ({panel['panel_id']})" for panel in data["panels"])]
    lines += ["", "## Figures", "", *(f"- {name.replace('_', ' ')}: {n}" for name, n in data["figures"].items())]
    lines += ["", "## Models", ""]
    for model in data["models"]:
        lines += [f"- {model.get('name')}: {model.get('terms', '')}", *_nested(model)]
    lines += ["", "## Notices", "", *(f"- {notice}" for notice in data["notices"])]
    lines += ["", "## Retention", "", *(f"- {what}: {how}" for what, how in data["retention"].items())]
    lines += ["", "## Measures", "", *(f"- {measure}" for measure in data["measures"])]
    lines += ["", "## Deletions", "", *(f"- {name}: {n}" for name, n in data["deletions"].items())]
    lines += ["", f"**{data['warning']}**"] if data["warning"] else []
    return "\n".join([*lines, "", f"Head of the history: {data['history_head']}", ""])


def _figures(site: Site) -> dict[str, int]:
    def count(query: str) -> int:
        row = site.registry.row(f"SELECT count(*) AS n FROM {query}")
        return int(row["n"]) if row else 0

    return {
        "residents": count("residents WHERE state = 'active'"),
        "persons_with_a_face_stored": persons(site),
        "residents_under_14": count("residents WHERE state = 'active' AND under_14 = 1"),
        "consents_in_force": count("consents WHERE state = 'given'"),
        "consents_declined": count("consents WHERE state = 'declined'"),
        "consents_withdrawn": count("consents WHERE state = 'withdrawn'"),
        "cards_and_pins": count("credentials WHERE state = 'active'"),
        "receipts": count("receipts"),
    }


def _notices(site: Site) -> list[str]:
    shipped = [notices.load(name) for name in notices.names()]
    told = [f"{notice.label} version {notice.version}, SHA-256 {notice.hash.hex()}" for notice in shipped]
    late = len(renewal.outstanding(site))
    return [*told, f"consents to be renewed: {late}"]


def _deletions(site: Site) -> dict[str, int]:
    rows = deadlines.of(site)
    return {
        "owed in all": len(rows),
        "confirmed": len([row for row in rows if row.state == "confirmed"]),
        "confirmed in time": len([row for row in rows if row.state == "confirmed" and row.confirmed <= row.due]),
        "pending": len([row for row in rows if row.state == "pending"]),
        "overdue": len([row for row in rows if row.overdue(site.now())]),
    }


def _nested(value: dict[str, Any], indent: str = "  ") -> list[str]:
    lines = []
    for name, inner in value.items():
        if name in ("name", "terms", "files"):
            continue
        if isinstance(inner, dict):
            lines += [f"{indent}- {name.replace('_', ' ')}:", *_nested(inner, indent + "  ")]
        else:
            lines.append(
                f"{indent}- {name.replace('_', ' ')}: {inner if isinstance(inner, str) else json.dumps(inner)}"
            )
    return lines


def _keep(site: Site, kind: str, data: dict[str, Any]) -> None:
    body = json.dumps(data, ensure_ascii=False, sort_keys=True)
    digest = hashlib.sha256(body.encode()).digest()
    with site.registry.transaction() as db:
        db.execute(
            "INSERT INTO reports (kind, made, keep_until, sha256, body) VALUES (?, ?, ?, ?, ?)",
            (kind, data["made"], data["made"] + KEEP_DAYS * deadlines.DAY_S, digest, body),
        )
    site.note("report_made", kind=kind, sha256=digest.hex())
