"""A receiver of webhooks on loopback, which keeps what it was sent."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Received:
    """What came: headers by their names in lower case, and bodies."""

    port: int
    requests: list[tuple[dict[str, str], bytes]] = field(default_factory=list)

    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook?token=canary"


@contextmanager
def receiving(status: int = 204) -> Iterator[Received]:
    """Answer every request with this status."""
    received = Received(0)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            received.requests.append(
                ({name.lower(): value for name, value in self.headers.items()}, body)
            )
            self.send_response(status)
            if status == 302:
                self.send_header("Location", received.url())
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *args: object) -> None:
            """Nothing on standard error."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        received.port = server.server_port
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield received
        finally:
            server.shutdown()
            thread.join(5)
