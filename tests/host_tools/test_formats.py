"""The pages for whoever writes a tool of their own: what they show is what the code does, and their code runs."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from firmware.base import errors as panel_errors
from firmware.crypto import ed25519
from firmware.link.messages import Seals, decode_frame, encode_frame
from firmware.link.ops import OPS
from firmware.vault import receipt as receipts
from host_tools import reference

ROOT = Path(__file__).resolve().parents[2]
VAULT = (ROOT / "firmware/vault/README.md").read_text(encoding="utf-8")
LINK = (ROOT / reference.LINK).read_text(encoding="utf-8")


def example(page: str, name: str) -> str:
    found = re.search(rf"<!-- example: {name} -->\n```\w*\n(.*?)```", page, re.DOTALL)
    assert found, name
    return found[1]


def test_the_pages_made_from_the_code_are_as_the_code_is() -> None:
    again = "run: python -m host_tools.reference"
    assert (ROOT / reference.PAGE).read_text(encoding="utf-8") == reference.reference_page(), again
    assert reference.link_page(LINK) == LINK, again


def test_every_operation_names_its_errors() -> None:
    assert set(reference.ERRORS) == set(OPS)
    codes = reference.error_codes()
    assert all(codes.values())
    assert {code for listed in reference.ERRORS.values() for code in listed} <= set(codes)
    tree = ast.parse((ROOT / "firmware/services/commands.py").read_text())
    handlers = {node.name: node for node in ast.walk(tree) if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))}
    for op in OPS:
        raised = {
            getattr(panel_errors, node.exc.func.id).code
            for node in ast.walk(handlers[op])
            if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call) and isinstance(node.exc.func, ast.Name)
        }
        assert raised <= {*reference.ERRORS[op], "bad_request"}, op


def test_the_link_page_s_example_is_the_code_s_and_its_client_is_understood() -> None:
    key = bytes.fromhex(example(LINK, "key"))
    asked, answered = (decode_frame(example(LINK, name).strip().encode()) for name in ("request", "reply"))
    assert Seals(key, lambda n: b"\xaa" * n).request(7, {"op": "status"}) == asked
    assert Seals(key, lambda n: b"\xbb" * n).reply(asked, {"ok": True}) == answered
    theirs: dict[str, Any] = {}
    exec(example(LINK, "client"), theirs)
    assert theirs["request"](key, 7, {"op": "status"}, b"\xaa" * 16) == asked
    assert theirs["open_reply"](key, asked, answered) == {"ok": True}
    assert theirs["frame"](asked) == encode_frame(asked) and theirs["payload_of"](encode_frame(asked)) == asked
    seals = Seals(key, lambda n: bytes(n))
    own = theirs["request"](key, 8, {"op": "resident_drop", "handle": "王"})
    assert seals.open_request(own) == {"op": "resident_drop", "handle": "王"}
    assert theirs["open_reply"](key, own, seals.reply(own, {"ok": True, "left": 1})) == {"ok": True, "left": 1}
    with pytest.raises(AssertionError, match="seal"):
        theirs["open_reply"](key, asked, answered[:-1] + bytes([answered[-1] ^ 1]))


def test_the_vault_page_s_verifier_accepts_its_example_and_nothing_else(tmp_path: Path) -> None:
    key = bytes.fromhex(example(VAULT, "key"))
    data = bytes.fromhex(example(VAULT, "receipt"))
    (tmp_path / "verify.py").write_text(example(VAULT, "verifier"), encoding="utf-8")
    (tmp_path / "a.receipt").write_bytes(data)
    (tmp_path / "chain").write_text(example(VAULT, "chain"))
    command = [sys.executable, "verify.py", "a.receipt", key.hex(), "chain"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0 and "blocks [41], entry 3" in done.stdout, done.stderr
    known = receipts.verify(data, key, ed25519.verify)
    theirs: dict[str, Any] = {"__name__": "verify"}
    exec(example(VAULT, "verifier"), theirs)
    _, counter, time, handle, head, reason, blocks = theirs["receipt"](data, key)
    assert (counter, time, handle, head) == (known.counter, known.time, known.handle, known.chain_head)
    assert receipts.REASONS[reason] == known.reason and blocks == known.blocks
    for at in range(len(data)):
        with pytest.raises(Exception, match=r".*"):
            theirs["receipt"](data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :], key)
    lines = [bytes.fromhex(line) for line in example(VAULT, "chain").split()]
    for number, line in enumerate(lines):
        for at in range(len(line)):
            bad = [*lines[:number], line[:at] + bytes([line[at] ^ 1]) + line[at + 1 :], *lines[number + 1 :]]
            with pytest.raises(AssertionError):
                theirs["chain"](bad, counter, head)
    for cut in (lines[:-1], lines[1:], []):
        with pytest.raises(AssertionError):
            theirs["chain"](cut, counter, head)
    assert len(example(VAULT, "verifier").splitlines()) < 45


def test_the_vault_page_names_every_reason_and_kind() -> None:
    from firmware.vault.chain import KINDS

    for code, word in receipts.REASONS.items():
        assert re.search(rf"\| {code} +\| {word} ", VAULT), word
    for code, word in KINDS.items():
        assert f"{code} {word}" in " ".join(VAULT.split())
