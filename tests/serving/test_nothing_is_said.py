"""What the server's process writes, and its metrics, name nobody: no customer, product or key, whatever is asked."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from urllib.parse import quote

from jobs.runtime.valkey import EmbeddedValkey
from schemas.writes import profile_write, similar_write
from tests.serving.served import START_S, STOP_S, Got, Served
from tests.serving.small_shop import NOW_MS, fill, send

MARK = "zq7"
"""In every name that is sent, and in nothing else."""
CUSTOMERS = (
    "zq7-customer",
    "zq7.maria@shop.example",
    "+49 170 zq7",
    "zq7/../etc",
    "zq7\n\x00",
    "zq7é😀",
    "zq7%2F",
    "zq7" * 200,
)
PRODUCT, SEGMENT = "zq7-product", "zq7-segment"
PATHS = ("/v1/recommendations/{}?details=true", "/v1/customers/{}", "/v1/content/{}?slot=zq7-slot",
         "/v1/assignments/{}", "/v1/items/{}/similar", "/v1/items/{}/similar?relation=zq7",
         "/v1/segments/{}/members", "/v1/segments/{}/members?cursor=zq7zq7zq7", "/v1/experiments/{}",
         "/v1/popular?scope=category:{}",
         "/v1/popular?scope=segment:{}", "/v1/changes?{}=1", "/v1/zq7/{}", "/{}", "/v1/popular?limit={}",
         "/v1/recommendations/x?viewed={0}&cart={0}&exclude={0}&product_id={0}&location={0}&device={0}&page={0}",
         "/v1/recommendations/x?strategy={}", "/v1/recommendations/x?{}=1", "/healthz?{}", "/metrics?{}")  # fmt: skip
BODIES = (
    b'{"events": [{"event_id": "zq7", "type": "identify", "timestamp": 1760000000000, "customer_id": "zq7"}]}',
    b'{"events": [{"event_id": "zq7", "type": "zq7", "customer_id": "zq7"}, 1]}', b'{"events": "zq7"}', b'{"zq7": ',
    b'{"events": [{"event_id": "zq7", "type": "product_viewed", "timestamp": "zq7", "anonymous_id": "zq7"}]}',
    b"zq7\xff",
)  # fmt: skip
RAW = (b"GET /zq7 HTTP/9.9\r\n\r\n", b"zq7\x00\xff\r\n\r\n",
       b"GET /v1/customers/zq7\xff HTTP/1.1\r\nhost: localhost\r\n\r\n",
       b"GET / HTTP/1.1\r\nhost: zq7\r\nzq7\r\n\r\n", b"GET /v1/customers/zq7 HTTP/1.1\r\nx: " + b"zq7" * 50_000,
       b"POST /v1/events HTTP/1.1\r\nhost: localhost\r\ncontent-length: 99\r\n\r\nzq7",
       b"POST /v1/events HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\nzq7\r\n")  # fmt: skip
FAULTY = """\
from serving import profiles
def features(profile):
    raise ValueError(f"what is wrong with {profile}") from KeyError("zq7-cause")
profiles.features = features
"""
"""Makes a fault of the one endpoint that reads features, whose message names the customer."""


class Watched(Served):
    """A server whose output is kept."""

    said: Path

    def output(self) -> str:
        """All of it so far."""
        return self.said.read_text("utf-8", "replace")


@contextmanager
def watched(folder: Path, *options: str, before: str = "") -> Iterator[Watched]:
    """`segmill serve` at a free port, with both of its outputs in one file."""
    said = folder / "said.txt"
    command = [sys.executable, "-c", f"{before}\nfrom jobs.cli import main; main()", "serve", "--port", "0", *options]
    environment = os.environ | {"SEGMILL_SERVE_INGEST_TIMEOUT_MS": "300"}
    with said.open("wb") as out, subprocess.Popen(command, stdout=out, stderr=out, env=environment) as process:
        try:
            until_s = time.monotonic() + START_S
            while "\n" not in (text := said.read_text()).partition("listening at ")[2]:
                assert time.monotonic() < until_s, text
                time.sleep(0.05)
            served = Watched(text.split("listening at ")[1].split()[0].rstrip(","), process)  # type: ignore[arg-type]
            served.said = said
            yield served
            process.send_signal(signal.SIGTERM)
            assert process.wait(STOP_S) == 0
        finally:
            process.kill()
            process.wait()


def ask_all(served: Served, **headers: str) -> list[Got]:
    """Everything about everybody, right and wrong."""
    answers = [served.ask(path.format(quote(name, safe="")), **headers) for path in PATHS for name in CUSTOMERS]
    for body in BODIES:
        answers.append(served.ask("/v1/events", "POST", body, content_type="application/json", **headers))
        answers.append(served.ask("/v1/events", "POST", body, content_type="text/zq7", **headers))
    answers.append(served.ask("/v1/customers/zq7", "DELETE", **headers))
    answers.append(served.ask("/v1/changes", last_event_id="zq7", **headers))
    for raw in RAW:
        with socket.create_connection((served.host, served.port), 5) as connection:
            connection.settimeout(2)
            with suppress(OSError):  # it was closed on us
                connection.sendall(raw)
                connection.shutdown(socket.SHUT_WR)
                connection.recv(1 << 16)
    return answers


def names_nobody(text: str, *secrets: str) -> None:
    """None of the marks, whatever was made of its case, and nothing of a key but its name."""
    assert MARK not in text.lower(), [line for line in text.splitlines() if MARK in line.lower()]
    for secret in secrets:
        assert secret[:16] not in text


def tell(url: str) -> None:
    """A customer, a segment and an item of marked names; and values under marked names that are none of ours."""
    fill(url)
    body = {
        "customer_id": CUSTOMERS[0],
        "features": {"orders_30d": 6, "location": "zq7-town", "top_categories": ["zq7-category"]},
        "segments": {SEGMENT: NOW_MS},
        "recent": {"viewed": [[PRODUCT, NOW_MS]], "cart": {PRODUCT: 1}, "bought": [[PRODUCT, NOW_MS]]},
    }
    writes = [profile_write(name, 1, NOW_MS, body, {SEGMENT: NOW_MS}) for name in CUSTOMERS[:2]]
    send(url, *writes, similar_write("viewed-with", PRODUCT, 1, NOW_MS, [("zq7-other", 0.9, 7)]))


class TestOutputAndMetrics:
    def test_of_everything_that_can_be_asked(self, tmp_path: Path, keys: tuple[Path, dict[str, str]]) -> None:
        """With Redis, while it dies, and without it; Kafka is not there at all."""
        path, known = keys
        admin, wrong = {"x_api_key": known["admin"]}, "sgm_zq7wrongkeyzq7wrongkey"
        with ExitStack() as stack:
            valkey = stack.enter_context(EmbeddedValkey(tmp_path))
            tell(valkey.url)
            valkey.client().rpush("segmill:segment:zq7-customer", "zq7")  # of another kind
            valkey.client().set("segmill:experiment:zq7-customer", b"zq7\xff")
            options = ("--keys", str(path), "--redis", valkey.url, "--bootstrap", "127.0.0.1:1")
            served = stack.enter_context(watched(tmp_path, *options))
            served.until("/readyz", 200)
            answers = ask_all(served, **admin)
            assert {got.status for got in answers} >= {200, 400, 404, 405, 415, 422, 503}
            assert {got.status for got in answers} & {500} == set()
            assert b"zq7-category" in b"".join(got.body for got in answers)  # it has seen them
            for headers in ({"x_api_key": wrong}, {"authorization": f"Bearer {wrong}"}, {"authorization": "zq7"}):
                assert served.ask("/v1/customers/zq7", **headers).status == 401
            assert served.ask(f"/v1/customers/zq7?key={known['read']}").status == 401
            names_nobody(served.ask("/metrics", **admin).body.decode(), *known.values())
            changes = served.ask("/v1/changes?segment=zq7", last_event_id="0:7,1:7", **admin)
            assert changes.status == 503  # of Kafka
            with ThreadPoolExecutor(3) as threads:
                asking = [threads.submit(ask_all, served, **admin) for _ in range(3)]
                time.sleep(0.3)
                os.kill(valkey.pid, signal.SIGKILL)
                assert {got.status for one in asking for got in one.result()} & {500} == set()
            names_nobody(served.ask("/metrics", **admin).body.decode(), *known.values())
        names_nobody(served.output(), *known.values())

    def test_of_a_fault_of_the_program(self, tmp_path: Path) -> None:
        """Its log says where, and of which kind, and nothing of what was in hand."""
        with EmbeddedValkey(tmp_path) as valkey:
            tell(valkey.url)
            words = ("--without-keys", "--without-kafka", "--redis", valkey.url)
            with watched(tmp_path, *words, before=FAULTY) as served:
                served.until("/readyz", 200)
                got = served.ask(f"/v1/customers/{CUSTOMERS[0]}")
                assert (got.status, got.headers["content-type"]) == (500, "application/problem+json")
                assert MARK not in got.body.decode()
                names_nobody(served.ask("/metrics").body.decode())
            said = served.output()
        assert "fault: ValueError" in said
        assert "customers.py" in said
        names_nobody(said)
