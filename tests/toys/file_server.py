"""A web server on this machine that gives one file, and can go on in the middle of it."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, final


@final
class Served:
    """What the server gives, and what it was asked for.

    Attributes:
        content: of the file; any path leads to it.
        ranges: whether it goes on in the middle when asked to.
        cut_after: bytes after which it hangs up; None: never.
        asked: the Range header of each request; empty where there was none.
        url: of the file.
    """

    def __init__(self, content: bytes) -> None:
        self.content = content
        self.ranges = True
        self.cut_after: int | None = None
        self.asked: list[str] = []
        self.url = ""


@contextmanager
def serving(content: bytes) -> Iterator[Served]:
    """Serve `content` until the block ends."""
    served = Served(content)

    @final
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked = self.headers.get("Range", "")
            served.asked.append(asked)
            begin = int(asked.removeprefix("bytes=").rstrip("-")) if asked else 0
            begin = begin if served.ranges else 0
            if begin >= len(served.content):
                self.send_error(416)
                return
            self.send_response(206 if begin else 200)
            self.send_header("Content-Length", str(len(served.content) - begin))
            self.end_headers()
            end = None if served.cut_after is None else begin + served.cut_after
            self.wfile.write(served.content[begin:end])

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - its name there
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    served.url = f"http://127.0.0.1:{server.server_port}/weights.pth"
    try:
        yield served
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
