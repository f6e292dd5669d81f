"""A small HTTP server with the faults of real ones."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Remote:
    """One file on a server and how the server behaves; `requests` records the Range header of each request."""

    body: bytes
    etag: str | None = '"one"'
    modified: str | None = None
    ranges: bool = True  # whether a Range is honoured
    breaks: list[int] = field(default_factory=list)  # after how many bytes the next answers break off
    statuses: list[int] = field(default_factory=list)  # error codes of the next answers, 0 for none
    shift: int = 0  # how far off a Content-Range is
    says_length: bool = True
    conditional: bool = True  # whether If-Range is honoured
    requests: list[str | None] = field(default_factory=list)
    url: str = ""

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        """Write one answer."""
        wanted = request.headers.get("Range")
        self.requests.append(wanted)
        if code := self.statuses.pop(0) if self.statuses else 0:
            request.send_error(code)
            return
        same = request.headers.get("If-Range") in (None, self.etag, self.modified) or not self.conditional
        first = int(re.fullmatch(r"bytes=(\d+)-", wanted)[1]) if wanted and self.ranges and same else 0
        if first and first >= len(self.body):
            request.send_error(416)
            return
        request.send_response(206 if first else 200)
        if first:
            total = len(self.body)
            request.send_header("Content-Range", f"bytes {first + self.shift}-{total - 1}/{total}")
        if self.etag:
            request.send_header("ETag", self.etag)
        if self.modified:
            request.send_header("Last-Modified", self.modified)
        rest = self.body[first:]
        if self.says_length:
            request.send_header("Content-Length", str(len(rest)))
        request.end_headers()
        request.wfile.write(rest[: self.breaks.pop(0)] if self.breaks else rest)
        request.close_connection = True


@contextmanager
def serving(remote: Remote) -> Iterator[Remote]:
    """`remote` under an address of this machine."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            remote.answer(self)

        def log_message(self, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        remote.url = f"http://127.0.0.1:{server.server_port}/big.bin"
        try:
            yield remote
        finally:
            server.shutdown()
            thread.join()
