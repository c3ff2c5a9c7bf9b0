"""Whatever stands in Redis under our keys: there are answers as the document describes them, and no fault of ours."""

from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from jobs.runtime.valkey import EmbeddedValkey
from schemas.variant_label import Arm
from state.experiments.logic import body as experiment_body
from state.experiments.sums import Outcome
from state.experiments.tally import Tally
from state.experiments.told import Told
from tests.serving.hostile_values import nested, spoiled
from tests.serving.served import Served, serve
from tests.serving.small_shop import NOW_MS
from tests.serving.test_contract import DOCUMENT, check_shape
from tests.serving.test_endpoints import PATIENT

COUNT = 120
PROFILE: dict[str, Any] = {
    "customer_id": "c",
    "features": {"orders_30d": 6, "engagement": 1.5, "top_categories": ["tea"], "device": "mobile", "recency_ms": 5,
                 "location": "x", "cart_open": True},
    "segments": {"regulars": NOW_MS, "frequent-buyers": NOW_MS},
    "recent": {"viewed": [["p-1", NOW_MS], ["p-2", 5]], "bought": [["p-3", NOW_MS]], "cart": {"p-4": 2},
               "session_ms": 5},
    "scores": {"buys_7d": 0.25},
    "cluster": {"name": "few", "distance": 1.5},
}  # fmt: skip
NEIGHBOURS = {"neighbours": [["p-2", 0.9, 7], ["p-3", 0.5, 3]]}
CONTENT = """\
[content.all]
slot = "top"
when = 'orders_30d > 2 and engagement > 0.5 and recency_ms < days(3) and device == "mobile" and segment("regulars")'
text = "Hello"
[content.few]
slot = "top"
when = 'cluster("few") or cart_open or buys_7d > 0.1'
text = "Hello"
"""
OF_CUSTOMERS = ("/v1/customers/{customer_id}", "/v1/recommendations/{customer_id}", "/v1/content/{customer_id}")


@pytest.fixture(scope="module")
def shop(valkey: EmbeddedValkey, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Patient, and with content that asks for much of a profile."""
    folder = tmp_path_factory.mktemp("hostile")
    (folder / "content.toml").write_text(CONTENT)
    (folder / "serve.toml").write_text(f'content_file = "{folder / "content.toml"}"\n')
    words = ("--without-keys", "--without-kafka", "--redis", valkey.url, "--config", str(folder / "serve.toml"))
    with serve(*words, **PATIENT) as served:
        served.until("/readyz", 200)
        yield served


def write(valkey: EmbeddedValkey, kind: str, values: Sequence[bytes]) -> None:
    """Each under a name of its own."""
    pipeline = valkey.client().pipeline(transaction=False)
    for number, value in enumerate(values):
        pipeline.set(f"segmill:{kind}:odd-{number}", value)
    pipeline.execute()


def check(served: Served, path: str, name: str, query: str = "") -> int:
    """An answer that the document describes; returns its status."""
    got = served.ask(path.partition("{")[0] + name + path.partition("}")[2] + query)
    responses = DOCUMENT["paths"][path]["get"]["responses"]
    assert got.status in (200, 404), (name, got)
    check_shape(responses[str(got.status)], got.headers["content-type"], got.body)
    return got.status


class TestProfiles:
    @pytest.mark.parametrize("kind", ["profile", "population"])
    def test_own_facts_and_what_others_add(self, shop: Served, valkey: EmbeddedValkey, kind: str) -> None:
        """Cut off, of other types, with numbers too large, of other versions."""
        values = list(spoiled(PROFILE, COUNT))
        write(valkey, kind, values)
        if kind == "population":
            good = next(iter(spoiled(PROFILE, 0)))
            write(valkey, "profile", [good] * len(values))
        statuses = set()
        for number in range(len(values)):
            for path in OF_CUSTOMERS:
                query = "?slot=top" if "content" in path else "?limit=3" if "recommendations" in path else ""
                statuses.add(check(shop, path, f"odd-{number}", query))
        assert statuses == ({200, 404} if kind == "profile" else {200})

    def test_lists_in_lists(self, shop: Served, valkey: EmbeddedValkey) -> None:
        """What can just be read can be answered, or is left out."""
        values = list(nested(PROFILE))
        write(valkey, "profile", values)
        for number in range(len(values)):
            for path in ("customers/odd-{}", "content/odd-{}?slot=top", "recommendations/odd-{}"):
                assert shop.ask("/v1/" + path.format(number)).status in (200, 404)

    def test_members_whose_profiles_are_none(self, shop: Served, valkey: EmbeddedValkey) -> None:
        """What is popular in their segment comes from the others."""
        values = list(spoiled(PROFILE, 30))
        write(valkey, "profile", values)
        valkey.client().zadd("segmill:segment:odd", {f"odd-{number}": number for number in range(len(values))})
        assert check(shop, "/v1/popular", "", "?scope=segment:odd") == 200


class TestItems:
    def test_lists_of_neighbours(self, shop: Served, valkey: EmbeddedValkey) -> None:
        """And who viewed their item."""
        values = list(spoiled(NEIGHBOURS, COUNT))
        write(valkey, "similar:viewed-with", values)
        for number in range(len(values)):
            assert check(shop, "/v1/items/{item_id}/similar", f"odd-{number}") == 200
            path = "/v1/recommendations/{customer_id}"
            assert check(shop, path, "nobody", f"?viewed=odd-{number}&limit=3&strategy=seed") == 200


class TestExperiments:
    def test_sums(self, shop: Served, valkey: EmbeddedValkey) -> None:
        """Of which no report can be made, or that nobody can have had."""
        tally = Tally()
        for number in range(400):
            arm = Arm("e", "ab"[number % 2], number % 2 + 1, "1:1" if number % 3 else "9:1")
            tally.take(
                None, Told(arm, ("new",), number % 5 == 0, Outcome(5, number % 4, number % 7, 100 * (number % 7)))
            )
        values = list(spoiled(experiment_body(tally), 3 * COUNT))
        write(valkey, "experiment", values)
        found = [check(shop, "/v1/experiments/{name}", f"odd-{number}") for number in range(len(values))]
        assert set(found) == {200, 404}
        assert check(shop, "/v1/experiments/{name}", "odd-0") == 200
        for number in range(0, len(values), 3):
            check(shop, "/v1/experiments/{name}", f"odd-{number}", "?segment=new&control=b")

    def test_of_another_kind(self, shop: Served, valkey: EmbeddedValkey) -> None:
        """No value at all."""
        for key in ("experiment:kind", "profile:kind", "similar:viewed-with:kind", "item:kind", "population:kind"):
            valkey.client().rpush(f"segmill:{key}", "x")
        assert check(shop, "/v1/experiments/{name}", "kind") == 404
        assert check(shop, "/v1/customers/{customer_id}", "kind") == 404
        assert check(shop, "/v1/items/{item_id}/similar", "kind") == 200
