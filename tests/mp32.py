"""A 32-bit MicroPython, whose words are as long as a board's: Debian's i386 package, run through its own loader, which
any x86-64 Linux can.

    python3 -m tests.mp32        # fetches it with apt into .cache/mp32; says where it is, or why it cannot be had

apt verifies Debian's signatures; MicroPython itself is pinned besides. Nothing is installed and root is not needed.
Tests find it there, or where MENSHEN_MP32 names another.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

HOME = Path(__file__).resolve().parents[1] / ".cache" / "mp32"
SUITE = "trixie"
VERSION = "1.25.0+ds-1"
SHA256 = "a72799821cb45442150f8a7f0757bc8e4f9a4b64abccbd837d694a20d6900bb5"
LIBRARIES = ("libc6", "libgcc-s1", "libffi8", "libmbedcrypto16", "libmbedtls21", "libmbedx509-7")
_KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
_TIMEOUT_S = 120


class Unavailable(Exception):
    """Why this machine cannot have it."""


def find() -> str | None:
    """The interpreter's path."""
    place = HOME / "micropython"
    return os.environ.get("MENSHEN_MP32") or (str(place) if place.exists() else None)


def fetch() -> str:
    """`find`, fetched where it is not yet. Raises Unavailable."""
    if found := find():
        return found
    for program in ("apt-get", "dpkg-deb"):
        if not shutil.which(program):
            raise Unavailable(f"there is no {program}")
    if os.uname().machine != "x86_64":
        raise Unavailable("this is no x86-64")
    shutil.rmtree(HOME, ignore_errors=True)
    downloads = HOME / "packages"
    for folder in (downloads, HOME / "lists" / "partial", HOME / "archives" / "partial"):
        folder.mkdir(parents=True)
    (HOME / "sources.list").write_text(f"deb [signed-by={_KEYRING}] {_mirror()} {SUITE} main\n")
    _apt("update")
    _apt("download", f"micropython={VERSION}", *LIBRARIES)
    (package,) = downloads.glob("micropython_*.deb")
    if hashlib.sha256(package.read_bytes()).hexdigest() != SHA256:
        raise Unavailable("the package is not the pinned one")
    for path in downloads.glob("*.deb"):
        _run("dpkg-deb", "--extract", str(path), str(HOME / "root"))
    shutil.rmtree(HOME / "lists")
    return _wrap()


def _wrap() -> str:
    """A command that runs it with its own libraries."""
    root = HOME / "root"
    loader = next(path for path in root.rglob("ld-linux.so.2") if path.is_file())
    libraries = ":".join(sorted({str(path.parent) for path in root.rglob("*.so.*")}))
    target = HOME / "micropython"
    pending = target.with_suffix(".new")
    pending.write_text(f'#!/bin/sh\nexec "{loader}" --library-path "{libraries}" "{root}/usr/bin/micropython" "$@"\n')
    pending.chmod(0o755)
    answer = _run(str(pending), "-c", "import sys; print(sys.maxsize)")
    if answer.strip() != str(2**31 - 1):
        raise Unavailable(f"it has words of another length: {answer.strip()}")
    return str(pending.rename(target))


def _mirror() -> str:
    """Where this machine gets Debian from."""
    for uri in _run("apt-get", "indextargets", "--format", "$(REPO_URI)", "Origin: Debian").split():
        if uri.rstrip("/").endswith("/debian"):
            return uri
    raise Unavailable("this machine's apt knows no Debian mirror")


def _apt(*words: str) -> None:
    options = {
        "APT::Architecture": "i386",
        "APT::Architectures": "i386",
        "APT::Sandbox::User": "",
        "Dir::State::lists": HOME / "lists",
        "Dir::Cache": HOME,
        "Dir::Etc::sourcelist": HOME / "sources.list",
        "Dir::Etc::sourceparts": "-",
    }
    _run("apt-get", "--quiet", *(part for item in options.items() for part in ("-o", f"{item[0]}={item[1]}")), *words)


def _run(*command: str) -> str:
    done = subprocess.run(
        command, cwd=HOME / "packages", capture_output=True, text=True, timeout=_TIMEOUT_S, check=False
    )
    if done.returncode:
        raise Unavailable(" ".join((done.stderr.strip() or f"{command[0]} failed").split())[:300])
    return done.stdout


def main() -> int:
    try:
        print(fetch())
    except (Unavailable, OSError, subprocess.TimeoutExpired) as error:
        print(f"no 32-bit MicroPython: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
