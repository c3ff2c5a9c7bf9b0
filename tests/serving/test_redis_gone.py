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
from schemas.keys import Keys
from serving.catalog.item import Item
from serving.catalog.store import CatalogStore
from tests.serving.served import Served, serve
from tests.serving.small_shop import NOW_MS, fill, profile, send

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


RULES = """\
[rules.not-for-children]
action = "hide"
tags = ["adult"]
pages = ["kids"]

[rules.minors]
action = "hide"
items = ["wine"]
condition = 'segment("minors")'
pages = ["shop"]
"""
CONTENT = """\
[content.wine]
slot = "top"
priority = 1
when = 'not segment("minors")'
text = "Wine"

[content.hello]
slot = "top"
text = "Hello"
"""


class TestInDoubt:
    def test_what_may_be_forbidden_is_not_shown(self, tmp_path: Path) -> None:
        """While Redis says nothing: what was read before is judged by that, all else is left out where it is asked."""
        (tmp_path / "rules.toml").write_text(RULES)
        (tmp_path / "content.toml").write_text(CONTENT)
        settings = tmp_path / "serve.toml"
        settings.write_text(
            f'content_file = "{tmp_path}/content.toml"\n'
            f'[ranking]\nrules_file = "{tmp_path}/rules.toml"\nstatic = ["wine", "tea"]\n'
        )
        (tmp_path / "segments.toml").write_text(
            '[segments.minors]\ndescription = "Children."\nwhen = "orders_total >= 1"\n'
        )
        rules = ("--rules", str(tmp_path / "segments.toml"))
        words = ("--without-keys", "--without-kafka", "--config", str(settings), *rules)
        with ExitStack() as stack:
            valkey = stack.enter_context(EmbeddedValkey(tmp_path))
            items = [Item(item_id="wine", tags=("adult",), category="drinks"), Item(item_id="tea", category="drinks")]
            CatalogStore(valkey.client(), Keys()).write(items, NOW_MS)
            send(valkey.url, profile("child", 1, {"minors": NOW_MS}))
            patient = {"SEGMILL_SERVE_DEADLINE_MS": "600", "SEGMILL_SERVE_REDIS_TIMEOUT_MS": "500"}
            served = stack.enter_context(serve(*words, "--redis", valkey.url, **patient))
            served.until("/readyz", 200)
            assert shown(served, "child", "page=shop") == (["tea"], False)
            assert served.ask("/v1/content/child?slot=top").json["name"] == "hello"
            assert shown(served, "nobody", "page=kids&exclude=wine") == (["tea"], False)
            # of the catalog this server knows now: of wine and tea everything; after the change of one, of tea alone
            CatalogStore(valkey.client(), Keys()).write([Item(item_id="wine", tags=("adult", "new"))], NOW_MS)
            served.until("/v1/customers/unknown", 404)  # a round trip behind the write
            os.kill(valkey.pid, signal.SIGSTOP)
            try:
                assert shown(served, "somebody", "page=kids") == (["tea"], True)
                assert shown(served, "somebody", "category=drinks") == (["tea"], True)
                assert shown(served, "somebody", "in_stock=true") == (["tea"], True)
                assert shown(served, "somebody", "page=home") == (["wine", "tea"], True)
                assert shown(served, "somebody", "page=shop") == (["tea"], True)
                told = served.ask("/v1/content/somebody?slot=top").json
                assert (told["name"], told["degraded"]) == ("hello", True)
                assert served.ask("/v1/content/child?slot=top").json["name"] == "hello"  # read before
            finally:
                os.kill(valkey.pid, signal.SIGCONT)


def shown(served: Served, customer_id: str, query: str) -> tuple[list[str], bool]:
    """The items of an answer, and whether it is degraded."""
    told = served.ask(f"/v1/recommendations/{customer_id}?{query}").json
    return [item["item_id"] for item in told["items"]], told["degraded"]
