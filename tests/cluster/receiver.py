"""A receiver of webhooks: a real HTTP server that remembers what came and answers as it is told."""

import base64
import hmac
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

SECRET_BYTES = b"0123456789abcdef0123456789abcdef"
SECRET = "whsec_" + base64.b64encode(SECRET_BYTES).decode()


@dataclass(frozen=True)
class Hook:
    """A request."""

    id: str
    body: Any
    headers: dict[str, str]
    signed: bool


Answer = tuple[int, dict[str, str]]


@dataclass
class Receiver:
    """What came, in order; `answer` decides what is said to it."""

    answer: Callable[[Hook], Answer] = lambda hook: (204, {})
    accepted: list[Hook] = field(default_factory=list)
    """Those that were answered with 2xx."""
    seen: list[Hook] = field(default_factory=list)
    port: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook"

    def of(self, customer: str) -> list[int]:
        """Numbers of a customer's accepted hooks, repetitions included."""
        return [hook.body["number"] for hook in self.accepted if hook.body["customer_id"] == customer]


@contextmanager
def receiving(answer: Callable[[Hook], Answer] = lambda hook: (204, {}), port: int = 0) -> Iterator[Receiver]:
    """A receiver that listens on loopback."""
    receiver = Receiver(answer)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            headers = {name.lower(): value for name, value in self.headers.items()}
            content = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
            expected = "v1," + base64.b64encode(hmac.digest(SECRET_BYTES, content, "sha256")).decode()
            hook = Hook(headers["webhook-id"], json.loads(body), headers, headers["webhook-signature"] == expected)
            status, extra = receiver.answer(hook)
            with receiver.lock:
                receiver.seen.append(hook)
                if 200 <= status < 300:
                    receiver.accepted.append(hook)
            self.send_response(status)
            for name, value in {"content-length": "0", **extra}.items():
                self.send_header(name, value)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    server.daemon_threads = True
    receiver.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield receiver
    finally:
        server.shutdown()
        server.server_close()
