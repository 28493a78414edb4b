"""A web server of a few files in memory, on the loopback address: what a bare machine fetches its root image from."""

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

LOOPBACK = "127.0.0.1"  # a machine on QEMU's user network reaches it as 10.0.2.2


@contextmanager
def serving(contents: Mapping[str, bytes]) -> Iterator[int]:
    """Serve {path: content} over HTTP and give the port; the server is gone afterwards."""
    server = ThreadingHTTPServer((LOOPBACK, 0), handler(contents))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def handler(contents: Mapping[str, bytes]) -> type[BaseHTTPRequestHandler]:
    """Return the class that answers requests for these contents, and is silent about it."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:  # http.server's name for it
            body = contents.get(self.path)
            self.send_response(404 if body is None else 200)
            self.send_header("Content-Length", str(len(body or b"")))
            self.end_headers()
            self.wfile.write(body or b"")

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing: the console is for the boot."""

    return Handler
