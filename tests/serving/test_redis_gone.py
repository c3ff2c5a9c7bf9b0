"""Redis is killed, frozen or emptied under the server: there are answers all the time, and it recovers by itself."""

import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from jobs.runtime.valkey import EmbeddedValkey
from tests.serving.served import Served, serve
from tests.serving.small_shop import fill, profile, send

PATHS = ("/v1/recommendations/c-1", "/v1/recommendations/new-{}", "/v1/customers/c-1", "/v1/customers/new-{}",
         "/v1/items/p-1/similar", "/v1/popular", "/v1/segments", "/v1/segments/regulars/members", "/healthz",
         "/readyz")  # fmt: skip


@contextmanager
def shop(folder: Path) -> Iterator[EmbeddedValkey]:
    """A Valkey with a shop in it; may be used again for the same folder once it was killed."""
    with EmbeddedValkey(folder) as valkey:
        fill(valkey.url)
        yield valkey


class Load:
    """Threads that ask for everything, all the time."""

    def __init__(self, served: Served) -> None:
        self._served, self._stop = served, threading.Event()
        self.counts: Counter[tuple[str, int]] = Counter()
        self.faults: list[BaseException] = []
        self._threads = [threading.Thread(target=self._run, args=(number,)) for number in range(3)]

    def __enter__(self) -> "Load":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _run(self, number: int) -> None:
        while not self._stop.is_set():
            for path in PATHS:
                number += 7
                try:
                    self.counts[path, self._served.ask(path.format(number)).status] += 1
                except (OSError, ValueError) as error:
                    self.faults.append(error)


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSTOP])
def test_there_are_answers_all_the_time(tmp_path: Path, how: signal.Signals) -> None:
    """Killed and started anew, or frozen and thawed, under load."""
    with ExitStack() as stack:
        valkey = stack.enter_context(shop(tmp_path))
        served = stack.enter_context(serve("--without-keys", "--without-kafka", "--redis", valkey.url))
        for path in PATHS:
            served.until(path, 404 if path.startswith("/v1/customers/new") else 200)
        with Load(served) as load:
            os.kill(valkey.pid, how)
            until_degraded(served, True)
            assert served.ask("/v1/customers/c-1").json["features"] == {"orders_30d": 6}
            unknown = served.ask("/v1/customers/never-read")
            assert (unknown.status, unknown.headers["retry-after"]) == (503, "1")
            nobody = served.ask("/v1/recommendations/never-seen").json
            assert nobody["degraded"]
            assert served.ask("/readyz").json["status"] == "ready"
            if how == signal.SIGSTOP:
                os.kill(valkey.pid, signal.SIGCONT)
            else:
                stack.enter_context(shop(tmp_path))
            until_degraded(served, False)
            assert served.until("/v1/customers/never-read", 404)
    assert load.faults == []
    assert {status for _, status in load.counts} <= {200, 404, 503}
    always = {path for path in PATHS if path.startswith(("/v1/recommendations", "/healthz", "/readyz"))}
    assert {status for path, status in load.counts if path in always} == {200}
    assert load.counts["/v1/customers/c-1", 503] == 0  # it was read before


def until_degraded(served: Served, degraded: bool) -> None:
    """Wait until a profile that was read before says so."""
    until = time.monotonic() + 20
    while time.monotonic() < until:
        if served.ask("/v1/customers/c-1").json["degraded"] == degraded:
            return
    raise AssertionError(f"never degraded={degraded}")


class TestStart:
    def test_without_redis_it_is_not_ready(self, tmp_path: Path) -> None:
        """But lives, and is ready once Redis comes."""
        with serve("--without-keys", "--without-kafka", "--redis", f"unix://{tmp_path}/valkey.sock") as served:
            assert served.ask("/healthz").status == 200
            assert served.ask("/readyz").status == 503
            answer = served.ask("/v1/recommendations/c-1")
            assert (answer.status, answer.json["degraded"]) == (200, True)
            with shop(tmp_path):
                served.until("/readyz", 200)
                assert served.until("/v1/customers/c-1", 200)


class TestFlush:
    def test_what_is_gone_is_not_served(self, tmp_path: Path) -> None:
        """All was deleted at once; then the stale cache must not know it either."""
        with shop(tmp_path) as valkey, serve("--without-keys", "--without-kafka", "--redis", valkey.url) as served:
            served.until("/v1/customers/c-1", 200)
            valkey.client().flushall()
            served.until("/v1/customers/c-1", 404)
            os.kill(valkey.pid, signal.SIGKILL)
            served.until("/v1/customers/c-2", 503)
            assert served.ask("/v1/customers/c-1").status in (404, 503)

    def test_an_erased_customer_is_not_served_from_the_stale_cache(self, tmp_path: Path) -> None:
        """What changed after it was read is not kept."""
        with shop(tmp_path) as valkey, serve("--without-keys", "--without-kafka", "--redis", valkey.url) as served:
            served.until("/v1/customers/c-1", 200)
            send(valkey.url, profile("c-1", 9, {}, orders_30d=1))
            served.until("/v1/customers/c-2", 200)  # a round trip behind the write
            os.kill(valkey.pid, signal.SIGKILL)
            served.until("/v1/customers/c-3", 503)
            got = served.ask("/v1/customers/c-1")
            assert got.status == 503 or got.json["features"] == {"orders_30d": 1}
