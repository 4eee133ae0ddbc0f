"""The camera's picture in a browser on this computer: one page on 127.0.0.1, at an address that cannot be guessed.

Pictures go from the panel to the page and nowhere else; browsers are told to store nothing.
"""

from __future__ import annotations

import http.server
import io
import secrets
import threading
from collections.abc import Iterator
from http import HTTPStatus
from urllib.parse import quote

from PIL import Image

from host_tools.aim import Picture
from host_tools.errors import HostError

_PAGE = """<!doctype html><meta charset="utf-8"><title>Aiming</title>
<style>body{background:#111;color:#ddd;font:16px sans-serif;text-align:center}
img{width:640px;image-rendering:pixelated;transform:scaleX(-1)}</style>
<h1>The camera is being aimed</h1><img id="i" alt=""><p id="t"></p>
<script>
async function next(){
  const r = await fetch("picture", {cache: "no-store"});
  const i = document.getElementById("i"), t = document.getElementById("t");
  if (!r.ok) { t.textContent = "Over. Close this page."; i.remove(); return; }
  const u = URL.createObjectURL(await r.blob());
  t.textContent = decodeURIComponent(r.headers.get("X-Says"));
  i.onload = () => { URL.revokeObjectURL(u); setTimeout(next, 100); };
  i.src = u;
}
next();
</script>
"""


class Page:
    """`shown` gives the pictures; `wait` returns when they end or nobody can look any more."""

    def __init__(self, shown: Iterator[Picture]) -> None:
        self._shown = shown
        self._lock = threading.Lock()
        self._over = threading.Event()
        self.error: HostError | None = None
        self.count = 0
        secret = secrets.token_urlsafe(16)
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _handler(self, f"/{secret}/"))
        self.address = f"http://127.0.0.1:{self._server.server_port}/{secret}/"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def wait(self) -> None:
        try:
            while not self._over.wait(0.2):
                pass
        finally:
            self._server.shutdown()
            self._server.server_close()
        if self.error:
            raise self.error

    def next(self) -> Picture | None:
        with self._lock:
            try:
                found = next(self._shown, None)
            except HostError as error:
                self.error, found = error, None
        self.count += found is not None
        return found

    def end(self) -> None:
        self._over.set()


def _handler(page: Page, root: str) -> type[http.server.BaseHTTPRequestHandler]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            host = self.headers.get("Host", "")
            if not host.startswith("127.0.0.1:") or not secrets.compare_digest(self.path[: len(root)], root):
                self._send(HTTPStatus.NOT_FOUND, "text/plain", b"")
            elif self.path == root:
                self._send(HTTPStatus.OK, "text/html; charset=utf-8", _PAGE.encode())
            elif self.path == root + "picture":
                self._picture()
            else:
                self._send(HTTPStatus.NOT_FOUND, "text/plain", b"")

        def _picture(self) -> None:
            shown = page.next()
            if shown is None:
                self._send(HTTPStatus.GONE, "text/plain", b"")
                page.end()
                return
            content = io.BytesIO()
            Image.fromarray(shown.grey).save(content, "PNG")
            self._send(HTTPStatus.OK, "image/png", content.getvalue(), {"X-Says": _quoted(shown.says())})

        def _send(self, status: HTTPStatus, kind: str, body: bytes, more: dict[str, str] | None = None) -> None:
            self.send_response(status)
            headers = {"Content-Type": kind, "Content-Length": str(len(body)), "Cache-Control": "no-store"}
            headers["Content-Security-Policy"] = "default-src 'self' 'unsafe-inline' blob:"
            for name, value in {**headers, "Referrer-Policy": "no-referrer", **(more or {})}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    return Handler


def _quoted(text: str) -> str:
    return quote(text)
