"""Redis answers nothing, or is gone: every answer comes in time, from what is known here, and says so."""

import os
import signal
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from jobs.runtime.valkey import EmbeddedValkey
from schemas.writes import popular_write, similar_write
from serving.server import ROUTES
from tests.serving.served import Got, Served, serve
from tests.serving.small_shop import NOW_MS, fill, profile, send

DEADLINE_S = 0.05
"""`deadline_ms`, as it is by default."""
MARGIN_S = 1.0
"""What a busy machine may add to it; who waited for Redis would wait longer, or for ever."""
WORDS = ("--without-keys", "--without-kafka")
POPULAR = ("all", "viewed", "bought", "category:tea", "segment:regulars")
ALWAYS = ("/v1/recommendations/{}?details=true", "/v1/recommendations/{}?viewed=p-1&cart=p-2&strategy=seed",
          "/v1/content/{}?slot=top", "/v1/assignments/{}", "/v1/items/{}/similar",
          "/v1/items/{}/similar?relation=bought-with")  # fmt: skip
"""Parts of pages: they are never refused, though they may be empty."""
REFUSED = ("/v1/customers/{}", "/v1/segments/{}/members", "/v1/experiments/{}")
"""Nobody may make up who somebody is."""
OTHERS = ("/v1/experiments", "/healthz", "/metrics", "/v1/openapi.json")


class Swallower:
    """Takes connections and all that is sent, and says nothing."""

    def __init__(self) -> None:
        self._door = socket.create_server(("127.0.0.1", 0))
        self._taken: list[socket.socket] = []
        self.url = f"redis://127.0.0.1:{self._door.getsockname()[1]}"
        self.came = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        while True:
            try:
                self._taken.append(self._door.accept()[0])
            except OSError:
                return
            self.came.set()

    def close(self) -> None:
        """Nobody is there any more."""
        self._door.shutdown(socket.SHUT_RDWR)
        self._door.close()
        self._thread.join()
        for one in self._taken:
            one.close()


@pytest.fixture
def swallower() -> Iterator[Swallower]:
    one = Swallower()
    yield one
    one.close()


def in_time(served: Served, path: str) -> Got:
    """An answer, within the deadline and the margin."""
    began_s = time.monotonic()
    got = served.ask(path)
    assert time.monotonic() - began_s <= DEADLINE_S + MARGIN_S, path
    return got


def is_refusal(got: Got) -> bool:
    """A problem that says when to come again."""
    told = got.headers["content-type"] == "application/problem+json" and got.json["type"].endswith(":unavailable")
    return got.status == 503 and told and int(got.headers["retry-after"]) >= 1


def check_unread(served: Served) -> None:
    """What was not read before, by every route that there is."""
    for turn in range(3):  # before, while and after it is known that nobody is there
        name = f"never-read-{turn}"
        for path in ALWAYS:
            got = in_time(served, path.format(name))
            assert got.status == 200, path
            assert "assignments" in path or got.json["degraded"], path
        assert in_time(served, f"/v1/items/{name}/similar").json["neighbours"] == []
        for path in (*REFUSED, "/v1/changes"):
            assert is_refusal(in_time(served, path.format(name))), path
        for path in OTHERS:
            assert in_time(served, path).status == 200, path
        got = in_time(served, f"/v1/popular?scope=category:{name}").json
        assert (got["items"], got["degraded"]) == ([], True)
        time.sleep(0.2)


class TestNobodyHasEverAnswered:
    def test_everything_in_time(self, swallower: Swallower) -> None:
        """Though somebody takes the connection."""
        with serve(*WORDS, "--redis", swallower.url) as served:
            assert swallower.came.wait(10)
            check_unread(served)
            for scope in POPULAR:
                got = in_time(served, f"/v1/popular?scope={scope}").json
                assert (got["items"], got["degraded"]) == ([], True)
            assert is_refusal(in_time(served, "/v1/segments"))
            assert is_refusal(in_time(served, "/readyz"))


def test_every_route_is_asked() -> None:
    """A new one belongs into one of these lists."""
    asked = {path.partition("?")[0] for path in (*ALWAYS, *REFUSED, *OTHERS)}
    asked |= {"/v1/popular", "/v1/segments", "/readyz", "/v1/changes"}
    routes = {route.path for route in ROUTES if route.method == "GET"}
    assert {path.partition("{")[0] + "{}" + path.partition("}")[2] if "{" in path else path for path in routes} == asked


@contextmanager
def silenced(folder: Path, how: signal.Signals) -> Iterator[tuple[Served, dict[str, Got]]]:
    """A server whose Redis was there, and is killed or frozen; with the answers from before."""
    with ExitStack() as stack:
        valkey = stack.enter_context(EmbeddedValkey(folder))
        fill(valkey.url)
        send(valkey.url, profile("known", 1, {"regulars": NOW_MS}), popular_write("viewed", "p-1", 1, 5.0),
             similar_write("viewed-with", "known", 1, NOW_MS, [("p-2", 0.9, 7)]))  # fmt: skip
        served = stack.enter_context(serve(*WORDS, "--redis", valkey.url))
        served.until("/readyz", 200)
        paths = ("/v1/customers/known", "/v1/items/known/similar", "/v1/segments", "/v1/popular?scope=all",
                 "/v1/popular?scope=category:tea/pots", "/v1/recommendations/known?viewed=known")  # fmt: skip
        before = {path: undegraded(served, path) for path in paths}
        os.kill(valkey.pid, how)
        try:
            yield served, before
        finally:
            if how == signal.SIGSTOP:
                os.kill(valkey.pid, signal.SIGCONT)


def undegraded(served: Served, path: str) -> Got:
    """An answer that Redis has given."""
    until_s = time.monotonic() + 20
    while (got := served.ask(path)).json["degraded"]:
        assert time.monotonic() < until_s, path
    return got


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSTOP])
class TestItFallsSilent:
    def test_what_was_read_before_is_answered(self, tmp_path: Path, how: signal.Signals) -> None:
        """As it was; `degraded` once it is noticed."""
        with silenced(tmp_path, how) as (served, before):
            check_unread(served)
            until_s = time.monotonic() + 10
            while not in_time(served, "/v1/customers/known").json["degraded"]:
                assert time.monotonic() < until_s
            for path, old in before.items():
                got = in_time(served, path)
                assert (got.status, got.json["degraded"]) == (200, True), path
                changing = {"degraded": False, "request_id": ""}
                assert got.json | changing == old.json | changing, path
            ready = in_time(served, "/readyz")
            assert (ready.status, ready.json["redis"], ready.json["degraded"]) == (200, "gone", True)
            assert is_refusal(in_time(served, "/v1/segments/regulars/members"))

    def test_many_at_once_are_in_time(self, tmp_path: Path, how: signal.Signals) -> None:
        """Nobody waits for others who wait for Redis in vain."""
        faults: list[BaseException] = []

        def ask(served: Served, number: int) -> None:
            try:
                for path in (*ALWAYS, *REFUSED):
                    in_time(served, path.format(f"n-{number}"))
            except BaseException as error:  # noqa: BLE001  (told by the test's own thread)
                faults.append(error)

        with silenced(tmp_path, how) as (served, _):
            threads = [threading.Thread(target=ask, args=(served, number)) for number in range(12)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        assert faults == []
