"""Stands where the API is: records what the shop asks and sends, and answers as told, or passes questions on."""

import http.client
import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.parse import parse_qs, urlsplit

from schemas.decode import Decoder
from schemas.settings import Settings
from tests.cluster.waiting import until

Answer = tuple[int, Any]
"""Status, and what the JSON says."""
_TRIES, _PAUSE_S = 20, 0.2


class StandInApi:
    """What was asked and sent, and what is to be answered."""

    def __init__(self) -> None:
        self.url = ""
        self.questions: list[tuple[str, dict[str, list[str]], str | None]] = []
        """Path, query and key of every GET."""
        self.events: list[dict[str, Any]] = []
        """All that were sent and taken, each checked as the job does it."""
        self.recommend: Callable[[dict[str, list[str]]], Answer] = lambda query: (200, answer("teapot", "candle"))
        self.take: Callable[[], int] = lambda: 200
        """The status for a batch of events."""
        self.delay_s = 0.0
        self._decode = Decoder(Settings()).decode

    def of_type(self, kind: str, visitor: str | None = None) -> list[dict[str, Any]]:
        """All, or those of one visitor."""
        found = [event for event in self.events if event["type"] == kind]
        return [event for event in found if visitor in (None, event["anonymous_id"])]

    def until_sent(self, kind: str, count: int = 1, visitor: str | None = None) -> list[dict[str, Any]]:
        """Wait for events of a type, as the shop sends them behind the visitor's back."""
        until(lambda: len(self.of_type(kind, visitor)) >= count, f"{count} of {kind}, and not {self.events}", 10)
        return self.of_type(kind, visitor)

    def get(self, target: str, key: str | None) -> Answer:
        parts = urlsplit(target)
        query = parse_qs(parts.query)
        self.questions.append((parts.path, query, key))
        time.sleep(self.delay_s)
        return self.recommend(query)

    def post(self, body: bytes) -> Answer:
        status = self.take()
        if status == 200:
            batch = json.loads(body)["events"]
            for event in batch:
                self._decode(json.dumps(event).encode())
            self.events += batch
        return status, {"items": []}


def answer(*item_ids: str, request_id: str = "00000000000000aa", variant: str | None = None) -> dict[str, Any]:
    """As the API answers."""
    reasons = [{"kind": "trending", "about": None, "text": "popular now"}]
    items = [{"item_id": item_id, "score": 1.0, "level": "trending", "reasons": reasons} for item_id in item_ids]
    return {"request_id": request_id, "items": items, "variant": variant}


def asked_of(url: str) -> Callable[[str], Answer]:
    """Passes questions on to a real API, again while a busy machine lets it know less than there is."""
    netloc = urlsplit(url).netloc

    def ask(target: str) -> Answer:
        for _ in range(_TRIES):
            status, told = once(target)
            if not told["degraded"]:
                break
            time.sleep(_PAUSE_S)
        return status, told

    def once(target: str) -> Answer:
        connection = http.client.HTTPConnection(netloc, timeout=10)
        try:
            connection.request("GET", target)
            got = connection.getresponse()
            return got.status, json.loads(got.read())
        finally:
            connection.close()

    return ask


@contextmanager
def standing_in(upstream: str | None = None) -> Iterator[StandInApi]:
    """One at a free port; with `upstream`, questions are answered by the API there."""
    api = StandInApi()
    pass_on = asked_of(upstream) if upstream is not None else None

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, told = api.get(self.path, self.headers.get("x-api-key"))
            self._send(*(pass_on(self.path) if pass_on is not None else (status, told)))

        def do_POST(self) -> None:
            assert (self.path, self.headers["content-type"]) == ("/v1/events", "application/json")
            self._send(*api.post(self.rfile.read(int(self.headers["content-length"]))))

        def _send(self, status: int, told: Any) -> None:
            body = json.dumps(told).encode()
            self.send_response(status)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - its name there
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, request: Any, client_address: Any) -> None:
            """A shop that no longer waits is no error."""
            if not isinstance(sys.exception(), ConnectionError):
                super().handle_error(request, client_address)

    server = Server(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    api.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield api
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
