"""The whole loop: from a click in a browser through Kafka and the live job to another recommendation."""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from examples.shop.catalogue import SHIPPED
from examples.shop.demo import listening, shop_command
from examples.shop.history import write_history
from jobs.stack.stack import Stack
from tests.cluster.live_jobs import LiveJob, cancelled
from tests.cluster.records import records
from tests.cluster.waiting import until
from tests.end_to_end.segmill_runs import segmill
from tests.serving.served import Served, serve
from tests.shop.browsers import Browser, browser

pytestmark = [pytest.mark.cluster, pytest.mark.browser]

CARD = "#recommendations .card"


class Open(NamedTuple):
    """A shop over a live job, and what is behind it."""

    job: LiveJob
    api: Served
    key: str
    key_file: Path

    def command(self) -> tuple[str, ...]:
        """A shop that remembers nobody yet."""
        how = ("--api", self.api.url, "--key-file", str(self.key_file), "--timeout-ms", "5000")
        return shop_command("--port", "0", *how)

    def advised(self, visitor: str) -> dict[str, Any]:
        """What the API recommends without being told anything but who it is; on a busy machine after some tries."""
        found: list[dict[str, Any]] = []

        def is_whole() -> bool:
            answer = self.api.ask(f"/v1/recommendations/{visitor}?limit=4", x_api_key=self.key)
            assert answer.status == 200, answer
            found.append(answer.json)
            return not found[-1]["degraded"]

        until(is_whole, "a whole answer")
        return found[-1]

    def sent(self, visitor: str) -> list[dict[str, Any]]:
        """Events of a visitor that are in the topic, in order; the job reads the same."""
        found = records(self.job.bootstrap, self.job.topics.events.name)
        return [json.loads(one.value()) for one in found if one.key().decode() == visitor]


@pytest.fixture(scope="module")
def opened(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Open]:
    """A job that has read the shop's history, the catalog, and the API with keys."""
    folder = tmp_path_factory.mktemp("shop")
    job = LiveJob(stack)
    job.make_topics()
    key_file, keys = folder / "key", folder / "keys.toml"
    made = segmill("keys", "new", "shop", "--scope", "read", "--scope", "ingest")
    key_file.write_text(made.stderr)
    keys.write_text(made.stdout)
    write_history(folder / "history.jsonl", time.time_ns() // 1_000_000)
    with cancelled(job):
        job.submit()
        _do("replay", folder / "history.jsonl", "--topic", job.topics.events.name, "--bootstrap", job.bootstrap)
        job.await_all_read()
        _do("catalog", "load", SHIPPED, "--redis", job.redis_url, "--prefix", job.prefix)
        where = ("--redis", job.redis_url, "--bootstrap", job.bootstrap, "--topic-prefix", job.prefix)
        with serve("--keys", str(keys), *where, SEGMILL_SERVE_REDIS_PREFIX=job.prefix) as api:
            shop = Open(job, api, made.stderr.strip(), key_file)
            until(lambda: _is_learned(shop), "what goes with a fountain pen is known")
            yield shop


def _do(*command: object) -> None:
    said = segmill(*command)
    assert said.returncode == 0, said.stderr


def _is_learned(shop: Open) -> bool:
    similar = shop.api.ask("/v1/items/fountain-pen/similar", x_api_key=shop.key)
    return len(similar.json["neighbours"]) >= 4 and len(shop.advised("nobody")["items"]) == 4


def items(page: Browser) -> list[str]:
    """What is recommended on the page."""
    found: Any = page.ask(f"[...document.querySelectorAll('{CARD}')].map((card) => card.dataset.item)")
    return list(found)


class TestLoop:
    @pytest.mark.parametrize("javascript", [True, False], ids=["with-javascript", "without"])
    def test_from_a_click_to_another_recommendation(self, opened: Open, javascript: bool) -> None:
        """A view changes what is recommended to the visitor later, when nobody says what was viewed."""
        with browser(javascript) as page:
            page.anew()
            with listening(*opened.command()) as shop:
                until(lambda: _shows_what_the_api_says(opened, page, shop), "the same as of the API")
                assert opened.advised(page.visitor)["level"] == "trending"
                request_id = page.one("#recommendations").get_attribute("data-request-id")
                recommended = items(page)
                until(lambda: len(_shown(opened, page, request_id)) == 4, "what was shown")
                page.follow(f"{CARD}:nth-child(2) .card-link")
                page.follow(".brand")
                page.follow("a[href='/p/fountain-pen']")
            until(lambda: opened.advised(page.visitor)["level"] == "personal", "the job knows of the visit")
            until(lambda: "fountain-pen" in _viewed(opened, page), "the job knows of the last view")
            after = opened.advised(page.visitor)
            assert {recommended[1], "fountain-pen"}.isdisjoint(item["item_id"] for item in after["items"])
            assert "ink" in {item["item_id"] for item in after["items"]}
            with listening(*opened.command()) as another:  # it has never seen the visitor, and has nothing to say
                until(lambda: _shows_what_the_api_says(opened, page, another), "the same as of the API")
                assert "ink" in items(page)
                assert items(page) != recommended
                assert "Because you viewed Fountain pen" in page.one("#recommendations").text
            (clicked,) = _of_type(opened, page, "recommendation_clicked")
            told = (clicked["request_id"], clicked["position"], clicked["product_id"])
            assert told == (request_id, 2, recommended[1])
            shown = _shown(opened, page, request_id)
            assert sorted((one["position"], one["product_id"]) for one in shown) == list(enumerate(recommended, 1))
            viewed = [one["product_id"] for one in _of_type(opened, page, "product_viewed")]
            assert viewed == [recommended[1], "fountain-pen"]


def _of_type(opened: Open, page: Browser, kind: str) -> list[dict[str, Any]]:
    return [event for event in opened.sent(page.visitor) if event["type"] == kind]


def _shown(opened: Open, page: Browser, request_id: str | None) -> list[dict[str, Any]]:
    return [one for one in _of_type(opened, page, "recommendation_shown") if one["request_id"] == request_id]


def _shows_what_the_api_says(opened: Open, page: Browser, shop: str) -> bool:
    """The home page, opened anew, beside the API's answer right after it; the job may write between the two."""
    page.open(shop)
    return items(page) == [item["item_id"] for item in opened.advised(page.visitor)["items"]]


def _viewed(opened: Open, page: Browser) -> list[str | None]:
    reasons = [reason for item in opened.advised(page.visitor)["items"] for reason in item["reasons"]]
    return [reason["about"] for reason in reasons if reason["kind"] == "viewed"]
