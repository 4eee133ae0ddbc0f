"""A PostgreSQL server of Debian's package for the tests: started once, as a user without rights, gone afterwards."""

from __future__ import annotations

import contextlib
import itertools
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg

PASSWORD = "opens the door"
_FAST = ("fsync=off", "synchronous_commit=off", "full_page_writes=off", "shared_buffers=16MB", "max_connections=40")


class Server:
    """`user` has a password over TCP and needs none over the socket in `folder`."""

    user = "menshen"

    def __init__(self, folder: Path, port: int) -> None:
        self.folder = folder
        self.port = port
        self._numbers = itertools.count()

    def url(self, database: str) -> str:
        return f"postgresql:///{database}?host={self.folder}&port={self.port}&user={self.user}"

    def tcp(self, database: str, password: str = PASSWORD) -> str:
        return f"postgresql://{self.user}:{password.replace(' ', '%20')}@127.0.0.1:{self.port}/{database}"

    def new_database(self) -> str:
        """Its name."""
        name = f"site{next(self._numbers)}"
        with self.sql("postgres") as db:
            db.execute(f"CREATE DATABASE {name}".encode())
        return name

    @contextlib.contextmanager
    def sql(self, database: str) -> Iterator[psycopg.Connection]:
        with contextlib.closing(psycopg.connect(self.url(database), autocommit=True)) as db:
            yield db


def binaries() -> Path | None:
    """Where initdb and postgres are; Debian keeps them out of PATH."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    on_path = shutil.which("initdb")
    return found[-1].parent if found else Path(on_path).resolve().parent if on_path else None


@contextlib.contextmanager
def running(bin_: Path) -> Iterator[Server]:
    folder = Path(tempfile.mkdtemp(prefix="menshen-pg-"))  # a short name: a socket's has 107 characters at most
    user = _user()
    if user:
        shutil.chown(folder, user)
    (folder / "password").write_text(PASSWORD)
    process = None
    try:
        initdb = [bin_ / "initdb", "--pgdata", folder / "data", "--username", Server.user, "--encoding=UTF8"]
        initdb += ["--locale=C", "--auth-local=trust", "--auth-host=scram-sha-256", "--no-sync"]
        made = _run([*initdb, "--pwfile", folder / "password"], user, folder)
        assert made.wait(120) == 0, (folder / "log").read_text()
        port = _free_port()
        options = [f"unix_socket_directories={folder}", "listen_addresses=127.0.0.1", f"port={port}", *_FAST]
        serve = [bin_ / "postgres", "-D", folder / "data", *(word for option in options for word in ("-c", option))]
        process = _run(serve, user, folder)
        _wait(folder, process)
        yield Server(folder, port)
    finally:
        if process:
            process.send_signal(signal.SIGQUIT)  # at once: nothing of it is kept
            process.wait(60)
        shutil.rmtree(folder)


def _user() -> str | None:
    """PostgreSQL does not run as root."""
    if os.getuid():
        return None
    names = {entry.pw_name for entry in pwd.getpwall()}
    return "postgres" if "postgres" in names else "nobody"


def _run(command: list[Path | str], user: str | None, folder: Path) -> subprocess.Popen[bytes]:
    with (folder / "log").open("ab") as log:
        return subprocess.Popen(
            [str(word) for word in command],
            stdout=log,
            stderr=log,
            cwd=folder,
            user=user,
            group=pwd.getpwnam(user).pw_gid if user else None,
            extra_groups=[] if user else None,
        )


def _wait(folder: Path, process: subprocess.Popen[bytes]) -> None:
    """The server writes "ready" as the last line of its lock file."""
    lock = folder / "data" / "postmaster.pid"
    while not (lock.exists() and lock.read_text().rstrip().endswith("ready")):
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(0.05)
            raise AssertionError((folder / "log").read_text())


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])
