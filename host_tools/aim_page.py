"""The camera's picture in a browser on this computer: one page on 127.0.0.1, at an address that cannot be guessed.

Pictures go from the panel to the page and nowhere else; browsers are told to store nothing.
"""

from __future__ import annotations

import contextlib
import http.server
import io
import queue
import secrets
import threading
from collections.abc import Iterator
from http import HTTPStatus
from urllib.parse import quote

from PIL import Image

from host_tools.aim import Picture

_TICK_S, _PATIENCE_S = 0.2, 60.0
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
    """`shown` gives the pictures, in the thread that calls `wait`; that returns when they end."""

    def __init__(self, shown: Iterator[Picture]) -> None:
        self._shown = shown
        self._asked: queue.Queue[queue.Queue[Picture | None]] = queue.Queue()
        self._over = threading.Event()
        self.count = 0
        secret = secrets.token_urlsafe(16)
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _handler(self, f"/{secret}/"))
        self.address = f"http://127.0.0.1:{self._server.server_port}/{secret}/"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def wait(self) -> None:
        try:
            while not self._over.is_set():
                with contextlib.suppress(queue.Empty):
                    self._give(self._asked.get(timeout=_TICK_S))
        finally:
            self._server.shutdown()
            self._server.server_close()

    def next(self) -> Picture | None:
        """For the page's own threads: None when it is over."""
        answer: queue.Queue[Picture | None] = queue.Queue()
        self._asked.put(answer)
        try:
            return answer.get(timeout=_PATIENCE_S)
        except queue.Empty:
            return None

    def end(self) -> None:
        self._over.set()

    def _give(self, answer: queue.Queue[Picture | None]) -> None:
        found = None
        try:
            found = next(self._shown, None)
        finally:
            answer.put(found)
        self.count += found is not None


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
