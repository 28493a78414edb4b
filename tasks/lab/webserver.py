"""A web server of a few files in memory, on the loopback address: what a bare machine fetches its root image from."""

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

LOOPBACK = "127.0.0.1"  # a machine on QEMU's user network reaches it as 10.0.2.2


@contextmanager
def answering(answer: Callable[[str], tuple[int, bytes]]) -> Iterator[int]:
    """Answer each path that is asked for with a status and a body, and give the port; the server is gone afterwards."""
    server = ThreadingHTTPServer((LOOPBACK, 0), handler(answer))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def serving(contents: Mapping[str, bytes]) -> AbstractContextManager[int]:
    """Serve {path: content} over HTTP and give the port."""
    return answering(lambda path: (200, contents[path]) if path in contents else (404, b""))


def handler(answer: Callable[[str], tuple[int, bytes]]) -> type[BaseHTTPRequestHandler]:
    """Return the class that answers requests so, and is silent about it."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:  # http.server's name for it
            status, body = answer(self.path)
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing: the console is for the boot."""

    return Handler
