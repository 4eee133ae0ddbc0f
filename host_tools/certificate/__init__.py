"""The certificate of erasure: what was stored of one person, where, and what proves that it is gone.

For a resident, a manager or a court: in Chinese and English, as one HTML page that needs nothing else and as a PDF.
It holds no biometrics, and of the person only what says whom it is about.
"""

from __future__ import annotations

from pathlib import Path

from host_tools.certificate.facts import Certificate, gather
from host_tools.certificate.page import html
from host_tools.certificate.paper import pdf
from host_tools.certificate.text import document
from host_tools.errors import Usage

__all__ = ("Certificate", "gather", "write")


def write(certificate: Certificate, stem: Path) -> tuple[Path, Path]:
    """The page and the PDF, `stem`.html and `stem`.pdf."""
    blocks = document(certificate)
    page, paper = stem.with_name(stem.name + ".html"), stem.with_name(stem.name + ".pdf")
    try:
        page.write_text(html(blocks), encoding="utf-8")
        paper.write_bytes(pdf(blocks))
    except OSError as error:
        raise Usage(f"The certificate cannot be written to {stem}: {error.strerror}.") from error
    return page, paper
