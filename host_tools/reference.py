"""The pages that repeat what the code says, made from it: `python -m host_tools.reference` writes them again.

host_tools/REFERENCE.md    `--json` documents, their fields, exit codes
firmware/link/README.md    its tables of errors and operations, between marks

A test compares them with the code, so that they cannot grow old.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from firmware.base import errors as panel_errors
from firmware.link import ops
from host_tools.cli import app, fields
from host_tools.cli.help import Page, commands
from host_tools.errors import EXIT_CODES
from host_tools.image.tree import source_root

PAGE = "host_tools/REFERENCE.md"
LINK = "firmware/link/README.md"
_OPERATIONS = "<!-- operations: made by host_tools/reference.py -->", "<!-- end of operations -->"
_ERRORS = "<!-- errors: made by host_tools/reference.py -->", "<!-- end of errors -->"

# What besides "bad_request" an operation may answer with; "auth", "link" and "not_provisioned" come before any of them.
ERRORS: dict[str, tuple[str, ...]] = {
    "hello": (),
    "provision": ("already_provisioned", "refused", "hal"),
    "status": (),
    "set_time": (),
    "resident_put": ("vault_full", "hal"),
    "resident_drop": ("erase_failed",),
    "consent_ask": ("not_found", "vault_full", "hal"),
    "consent_state": ("not_found",),
    "consent_grant": ("not_found", "vault_full", "hal"),
    "consent_withdraw": ("not_found", "erase_failed"),
    "enrol_put": ("not_found", "consent", "model", "refused", "vault_full", "hal", "erase_failed"),
    "enrol_live": ("not_found", "consent", "camera", "refused"),
    "enrol_state": (),
    "pin_set": ("not_found", "refused", "vault_full", "hal"),
    "card_put": ("not_found", "refused", "vault_full", "hal"),
    "card_lost": ("vault_full", "hal"),
    "card_wait": ("refused", "not_found"),
    "card_apdu": ("refused", "hal"),
    "card_done": (),
    "visitor_revoke": ("refused", "vault_full", "hal"),
    "credential_drop": ("not_found",),
    "wipe_face": ("not_found", "erase_failed"),
    "receipts": (),
    "log": (),
    "receipts_ack": (),
    "log_export": (),
    "tombstones": ("vault_full", "erase_failed"),
    "decommission": ("refused", "erase_failed"),
    "decommission_done": ("refused", "not_provisioned"),
    "events": (),
    "parity": (),
    "set_policy": (),
    "network_set": ("vault_full", "hal"),
    "network": (),
    "maintain": ("refused",),
    "maintenance_end": (),
    "console": (),
    "aim": ("camera", "refused"),
    "aim_frame": ("camera", "refused"),
    "aim_end": (),
    "update_key": ("refused",),
    "update_begin": ("refused",),
    "update_data": ("refused",),
    "update_finish": ("refused",),
    "update_switch": ("refused",),
    "update_verdict": ("refused",),
    "update_state": (),
    "feed": ("refused",),
    "selftest": ("not_found",),
}


def write(root: Path) -> list[str]:
    """Writes what has changed; the names of those files."""
    link = (root / LINK).read_text(encoding="utf-8")
    wanted = {PAGE: reference_page(), LINK: link_page(link)}
    changed = []
    for name, text in wanted.items():
        path = root / name
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")
            changed.append(name)
    return changed


def reference_page() -> str:
    pages = [(words, Page.of(command.help or "")) for words, command in commands(app) if words]
    places: dict[str, list[str]] = {}
    for words, page in pages:
        for word in dict.fromkeys(_words(fields.parse(page.json))) if page.json else ():
            places.setdefault(word, []).append(words)
    lines = [
        "# What `menshen` promises to scripts: JSON fields and exit codes",
        "",
        "Made from the code by `python -m host_tools.reference`; a test compares the two, and holds what every command",
        "prints against it. What a command does, with examples that are tested: `menshen COMMAND --help`.",
        "",
        "With `--json` a command prints one document on stdout: an object, or a list of objects. Fields are only ever",
        "added; one whose value is not known is null. Times are Unix seconds, bytes lower-case hex. `x[]` is a list,",
        "`x{}` an object, `x?` may be absent; `opened:count` is the field `opened` in the sense of that row below.",
        "",
        f"A failure without data prints `{fields.ERROR}`; any failure exits with its code. A dry run prints",
        f"`{fields.DRY_RUN}` and, where there is a plan, what the command itself would print.",
        "",
        "## Exit codes",
        "",
        "| code | meaning |",
        "|---|---|",
        *(f"| {code} | {meaning} |" for code, meaning in EXIT_CODES.items()),
        "",
        "## Documents",
        "",
        "| menshen | document | exit codes besides 0 and 1 |",
        "|---|---|---|",
    ]
    for words, page in pages:
        lines.append(f"| {words} | `{page.json}` | {', '.join(str(code) for code in page.exits if code > 1)} |")
    lines += ["", "## Fields", "", "| field | kind | meaning | in |", "|---|---|---|---|"]
    for word in sorted(places):
        kind, meaning = fields.VOCABULARY[word]
        lines.append(f"| {word} | {kind} | {meaning} | {', '.join(places[word])} |")
    return "\n".join(lines) + "\n"


def link_page(page: str) -> str:
    """The link's page with its tables of errors and operations as the code has them now."""
    meanings = error_codes()
    rows = "".join(f"| {code} | {meaning} |\n" for code, meaning in meanings.items())
    for (begin, end), made in ((_ERRORS, f"| code | meaning |\n|---|---|\n{rows}"), (_OPERATIONS, operations())):
        before, _, rest = page.partition(begin)
        _, _, after = rest.partition(end)
        page = f"{before}{begin}\n{made}{end}{after}"
    return page


def operations() -> str:
    lines = []
    for op, (request, reply) in ops.OPS.items():
        sealed = "plain" if op in ops.PLAIN_OPS else "sealed"
        lines += ["", f"#### {op}", "", f"| {sealed} | field | type |", "|---|---|---|"]
        for what, table in (("request", request), ("reply", reply)):
            rows = list(_rows(table))
            lines += [f"| {what} | {name} | {kind} |" for name, kind in rows] or [f"| {what} | | no fields |"]
        errors = ", ".join(("bad_request", *ERRORS[op]))
        lines += ["", f"Errors: {errors}"]
    return "\n".join(lines) + "\n\n"


def error_codes() -> dict[str, str]:
    """The panel's codes, each with its class's docstring: what it means."""
    kinds = [kind for kind in vars(panel_errors).values() if isinstance(kind, type) and hasattr(kind, "code")]
    return {kind.code: " ".join((kind.__doc__ or "").split()) for kind in kinds}


def _rows(table: Any, path: str = "") -> list[tuple[str, str]]:
    """(name, type in words) of each field and of what is inside it."""
    found = []
    for name, kind in table:
        optional = " (may be absent)" if name.endswith("?") else ""
        where = path + name.rstrip("?")
        found.append((where, _type(kind) + optional))
        inner = kind[2] if kind[0] == "list" else kind
        if inner[0] == "rec":
            found += _rows(inner[1], where + ("[]." if kind[0] == "list" else "."))
    return found


def _type(kind: Any) -> str:
    what = kind[0]
    if what == "int":
        return f"integer, {kind[1]} to {kind[2]}"
    if what == "hex":
        return f"hex of {kind[1]} bytes" if kind[1] == kind[2] else f"hex of {kind[1]} to {kind[2]} bytes"
    if what == "digits":
        return f"{kind[1]} to {kind[2]} decimal digits"
    if what == "text":
        return f"text, at most {kind[1]} characters"
    if what == "one":
        return "one of " + ", ".join(kind[1])
    if what == "list":
        return f"list of at most {kind[1]}: {_type(kind[2])}"
    if what == "free":
        return f"object or list, at most {kind[1]} characters"
    return {"bool": "true or false", "rec": "object"}[what]


def _words(found: tuple[fields.Field, ...]) -> list[str]:
    return [word for field in found for word in (field.word, *_words(field.inner or ()))]


def main() -> None:
    for name in write(source_root()):
        print(f"Wrote {name}.")


if __name__ == "__main__":
    main()
