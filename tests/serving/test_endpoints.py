"""The server over a real Valkey: what each endpoint answers."""

import time
from pathlib import Path
from urllib.parse import quote

import pytest

from jobs.runtime.valkey import EmbeddedValkey
from operators.redis_connection import RedisConnection, RedisTarget
from schemas.keys import Keys
from schemas.profiles import pack_versioned
from schemas.writes import popular_write, population_write, profile_write
from serving.catalog.item import Item
from serving.catalog.store import CatalogStore
from tests.serving.served import Served, serve
from tests.serving.small_shop import NOW_MS, SAME_TIME, STRANGE, fill, profile, send

PATIENT = {"SEGMILL_SERVE_DEADLINE_MS": "5000", "SEGMILL_SERVE_REDIS_TIMEOUT_MS": "4000"}
"""So that a busy machine degrades nothing."""


class TestCustomers:
    def test_a_profile_with_segments_and_why(self, served: Served) -> None:
        """The condition of the rule file, and the features it reads."""
        found = served.ask("/v1/customers/c-1").json
        assert found["customer_id"] == "c-1"
        assert found["features"] == {"orders_30d": 6}
        assert not found["degraded"]
        (membership,) = found["segments"]
        assert (membership["segment"], membership["since_ms"]) == ("frequent-buyers", NOW_MS - 1_000)
        assert (membership["condition"], membership["why"]) == ("orders_30d > 5", {"orders_30d": 6})

    @pytest.mark.parametrize("customer_id", ["nobody", "gone"])
    def test_unknown_and_withdrawn_ones_are_not_found(self, served: Served, customer_id: str) -> None:
        """A tombstone is nobody."""
        got = served.ask(f"/v1/customers/{customer_id}")
        assert (got.status, got.headers["content-type"]) == (404, "application/problem+json")
        assert customer_id not in got.json["detail"]

    def test_ids_may_hold_any_character(self, served: Served) -> None:
        """Percent-encoded."""
        assert served.ask(f"/v1/customers/{quote(STRANGE, safe='')}").json["customer_id"] == STRANGE

    def test_ids_have_a_longest_length(self, served: Served) -> None:
        """As in events."""
        assert served.ask(f"/v1/customers/{'x' * 512}").status == 404
        assert served.ask(f"/v1/customers/{'x' * 513}").status == 400


class TestOddProfiles:
    @pytest.mark.parametrize(
        ("part", "value"),
        [
            ("features", {"orders_30d": 2, "top_categories": 5}), ("features", [1]), ("segments", {"regulars": None}),
            ("segments", "regulars"), ("recent", {"viewed": [["p-1"]]}), ("recent", {"cart": 5}), ("scores", [1]),
            ("recent", {"bought": [["p-1", "yesterday"]], "session_ms": 1}), ("cluster", 3),
        ],
    )  # fmt: skip
    def test_a_part_that_is_none_is_left_out(
        self, served: Served, valkey: EmbeddedValkey, part: str, value: object
    ) -> None:
        """Whoever wrote it, there are answers, from the rest."""
        body = {"features": {"orders_30d": 6}, "segments": {"frequent-buyers": NOW_MS}} | {part: value}
        beside = {"features": {"rfm_monetary": 5}} | {part: value}
        name = f"odd-{part}-{abs(hash(str(value)))}"
        valkey.client().set(f"segmill:profile:{name}", pack_versioned(1, NOW_MS, body))
        valkey.client().set(f"segmill:profile:{name}-2", pack_versioned(1, NOW_MS, {"features": {}, "segments": {}}))
        valkey.client().set(f"segmill:population:{name}-2", pack_versioned(1, NOW_MS, beside))
        for customer_id in (name, f"{name}-2"):
            told = served.ask(f"/v1/customers/{customer_id}")
            assert (told.status, part in told.json["learned"]) == (200, False)
            for path in ("recommendations/{}?limit=3", "content/{}?slot=top"):
                assert served.ask("/v1/" + path.format(customer_id)).status == 200
        told = served.ask(f"/v1/customers/{name}").json
        assert told["features"] == ({} if part == "features" else {"orders_30d": 6})
        assert len(told["segments"]) == (part != "segments")

    @pytest.mark.parametrize("score", [-0.5, float("nan"), float("inf")])
    def test_a_list_of_neighbours_that_is_none(self, served: Served, valkey: EmbeddedValkey, score: float) -> None:
        """Has none, and whoever viewed its item gets an answer."""
        packed = pack_versioned(1, NOW_MS, {"neighbours": [["p-2", score, 3]]})
        valkey.client().set(f"segmill:similar:viewed-with:odd{score}", packed)
        assert served.ask(f"/v1/items/odd{score}/similar").json["neighbours"] == []
        for strategy in ("session", "personal", "seed"):
            assert served.ask(f"/v1/recommendations/nobody?viewed=odd{score}&strategy={strategy}").status == 200

    def test_scores_that_are_no_times(self, served: Served, valkey: EmbeddedValkey) -> None:
        """Infinity is a score, and no number of JSON."""
        valkey.client().zadd("segmill:segment:endless", {"first": float("-inf"), "a": 5, "last": float("inf")})
        page = served.ask("/v1/segments/endless/members?limit=1").json
        rest = served.ask(f"/v1/segments/endless/members?cursor={page['next']}").json
        assert [one["customer_id"] for one in page["members"] + rest["members"]] == ["first", "a", "last"]
        valkey.client().zadd("segmill:popular:category:endless", {"a": float("inf"), "b": 1.0})
        told = served.ask("/v1/popular?scope=category:endless").json
        assert told["items"] == [{"item_id": "b", "score": 1.0}]


class TestFreshness:
    def test_a_write_changes_the_next_answer(self, served: Served, valkey: EmbeddedValkey) -> None:
        """Though each was read, and so cached, just before: Redis tells of the change."""
        path = "/v1/customers/turning"
        assert served.ask(path).status == 404
        for version in range(2, 40):
            send(valkey.url, profile("turning", version, orders_30d=version))
            # the message about it is not ordered with this request, which takes another way
            until = time.monotonic() + 5
            while served.until(path, 200).json["features"]["orders_30d"] != version:
                assert time.monotonic() < until

    def test_both_parts_of_a_profile(self, served: Served, valkey: EmbeddedValkey) -> None:
        """What all others add comes with what own facts say, and changes without it; alone it is no profile."""
        body = {"segments": {"high-value": NOW_MS}, "features": {"rfm_monetary": 5}, "scores": {"buys_7d": 0.25}}
        for customer_id in ("c-4", "stranger"):
            send(valkey.url, population_write(customer_id, 1, NOW_MS, body))
        until = time.monotonic() + 10
        while (told := served.ask("/v1/customers/c-4").json)["learned"] != {"scores": {"buys_7d": 0.25}}:
            assert time.monotonic() < until
        assert told["features"]["rfm_monetary"] == 5
        assert "high-value" in {one["segment"] for one in told["segments"]}
        assert served.ask("/v1/customers/stranger").status == 404

    def test_reading_again_does_not_ask_redis(self, served: Served) -> None:
        """Reads are counted: this one is a hit, for both parts of the profile and for the version of the rules."""
        served.ask("/v1/customers/c-3")
        hits, misses = (figure(served, f"segmill_serve_cache_{name}_total") for name in ("hits", "misses"))
        served.ask("/v1/customers/c-3")
        assert figure(served, "segmill_serve_cache_hits_total") == hits + 3
        assert figure(served, "segmill_serve_cache_misses_total") == misses


def figure(served: Served, name: str) -> float:
    lines = served.ask("/metrics").body.decode().splitlines()
    return float(next(line for line in lines if line.startswith(name + " ")).split()[-1])


class TestItems:
    @pytest.mark.parametrize("item_id", ["p-1", STRANGE])
    def test_similar_items(self, served: Served, item_id: str) -> None:
        """Best first, as many as are wanted."""
        path = f"/v1/items/{quote(item_id, safe='')}/similar?relation=bought-with&limit=1"
        assert served.ask(path).json == {
            "item_id": item_id, "relation": "bought-with", "degraded": False,
            "neighbours": [{"item_id": "p-2", "score": 0.9, "support": 7}],
        }  # fmt: skip

    def test_an_unknown_item_has_none(self, served: Served) -> None:
        """Which is no error."""
        assert served.ask("/v1/items/none/similar").json["neighbours"] == []

    def test_popular_items(self, served: Served) -> None:
        """Of a scope."""
        assert [item["item_id"] for item in served.ask("/v1/popular?limit=2").json["items"]] == ["p-0", "p-1"]
        scope = quote("category:tea/pots", safe="")
        assert served.ask(f"/v1/popular?scope={scope}").json["items"] == [{"item_id": "p-7", "score": 5.0}]
        assert served.ask("/v1/popular?scope=segment:none").json["items"] == []

    def test_a_value_of_another_kind_is_no_list(self, served: Served, valkey: EmbeddedValkey) -> None:
        """What somebody else put under a name of ours does no harm."""
        valkey.client().set("segmill:popular:category:odd", "x")
        valkey.client().set("segmill:similar:viewed-with:odd", b"\xc1")
        valkey.client().lpush("segmill:profile:odd", "x")
        assert served.ask("/v1/popular?scope=category:odd").json["items"] == []
        assert served.ask("/v1/items/odd/similar").json["neighbours"] == []
        assert served.ask("/v1/customers/odd").status == 404


class TestPopularity:
    def test_scopes_are_made_of_what_there_is(self, valkey: EmbeddedValkey) -> None:
        """Of views and purchases; of that by the catalog; of a segment by what its members did last."""
        target = RedisTarget(valkey.url, "popularity:")
        writes = [popular_write("viewed", name, 1, score) for name, score in (("a", 9.0), ("b", 8.0), ("c", 5.0))]
        writes += [popular_write("bought", "b", 1, 3.0)]
        for number, viewed in enumerate((["x", "y"], ["y"], [])):
            recent = {"viewed": [[item, NOW_MS] for item in viewed]}
            body = {"features": {}, "segments": {"regulars": NOW_MS}, "recent": recent}
            writes.append(profile_write(f"m-{number}", 1, NOW_MS, body, {"regulars": NOW_MS}))
        connection = RedisConnection(target)
        connection.send(writes)
        connection.close()
        items = [Item(item_id="a", category="tea"), Item(item_id="c", category="tea")]
        CatalogStore(valkey.client(), Keys("popularity:")).write(items, NOW_MS)
        words = ("--without-keys", "--without-kafka", "--redis", valkey.url)
        with serve(*words, SEGMILL_SERVE_REDIS_PREFIX="popularity:") as served:
            served.until("/readyz", 200)
            found = {
                scope: [one["item_id"] for one in served.ask(f"/v1/popular?scope={scope}").json["items"]]
                for scope in ("all", "bought", "category:tea", "segment:regulars", "category:none", "segment:none")
            }
            assert found == {
                "all": ["b", "a", "c"], "bought": ["b"], "category:tea": ["a", "c"], "segment:regulars": ["y", "x"],
                "category:none": [], "segment:none": [],
            }  # fmt: skip
            told = served.ask("/v1/recommendations/nobody?limit=2").json
            assert [(one["item_id"], one["level"]) for one in told["items"]] == [("b", "trending"), ("a", "trending")]
            told = served.ask("/v1/recommendations/m-2?limit=2&strategy=personal").json
            assert [(one["item_id"], one["level"]) for one in told["items"]] == [("y", "segment"), ("x", "segment")]


class TestSegments:
    def test_each_with_its_count(self, served: Served) -> None:
        """Those of the rule file, also without members."""
        counts = {segment["segment"]: segment["members"] for segment in served.ask("/v1/segments").json["segments"]}
        assert counts["regulars"] == len(SAME_TIME)
        assert counts["browsers"] == 0

    def test_pages_hold_everybody_once(self, served: Served) -> None:
        """Also those who entered in the same millisecond."""
        seen, cursor = [], ""
        while True:
            page = served.ask(f"/v1/segments/regulars/members?limit=7{cursor}").json
            seen += [member["customer_id"] for member in page["members"]]
            if page["next"] is None:
                break
            cursor = f"&cursor={page['next']}"
        assert seen == SAME_TIME

    def test_a_cursor_outlives_the_member_it_names(self, served: Served, valkey: EmbeddedValkey) -> None:
        """Nobody is left out and nobody comes twice, whoever goes between two pages."""
        valkey.client().zadd("segmill:segment:going", {f"m-{number:02}": 5 for number in range(50)})
        page = served.ask("/v1/segments/going/members?limit=20").json
        valkey.client().zrem("segmill:segment:going", "m-03", "m-18", "m-19", "m-20")
        rest = served.ask(f"/v1/segments/going/members?limit=100&cursor={page['next']}").json
        assert [member["customer_id"] for member in rest["members"]] == [f"m-{number:02}" for number in range(21, 50)]
        assert rest["next"] is None

    @pytest.mark.parametrize("cursor", ["x", "AAAA", "%00", "k69mcmVxdWVudC1idXllcnPPAAABiXvZhADEA2MtMQ"])
    def test_a_foreign_cursor_is_refused(self, served: Served, cursor: str) -> None:
        """The last one is of another segment."""
        got = served.ask(f"/v1/segments/regulars/members?cursor={cursor}")
        assert (got.status, got.json["errors"][0]["where"]) == (400, "cursor")


class TestRecommendations:
    def test_anybody_gets_an_answer(self, served: Served) -> None:
        """Known, unknown or withdrawn."""
        for customer_id in ("c-1", "nobody", "gone"):
            got = served.ask(f"/v1/recommendations/{customer_id}?limit=3&cart=p-1&cart=p-2&time_ms={NOW_MS}")
            assert got.status == 200
            assert got.json["customer_id"] == customer_id
            assert not got.json["degraded"]
            assert len(got.json["items"]) <= 3

    def test_each_answer_has_a_name(self, served: Served) -> None:
        """By which its clicks come back."""
        names = {served.ask("/v1/recommendations/c-1").json["request_id"] for _ in range(3)}
        assert len(names) == 3


class TestLongLabels:
    def test_they_can_be_asked_for(self, valkey: EmbeddedValkey) -> None:
        """A category and a tag of 512 bytes, as the catalog takes them; more there is nowhere."""
        category, tag = "c" * 512, "é" * 256
        item = Item(item_id="p-7", category=category, tags=(tag,))
        CatalogStore(valkey.client(), Keys("long:")).write([item], NOW_MS)
        connection = RedisConnection(RedisTarget(valkey.url, "long:"))
        connection.send([popular_write("all", f"p-{number}", 1, 9.0 - number) for number in range(9)])
        connection.close()
        words = ("--without-keys", "--without-kafka", "--redis", valkey.url)
        with serve(*words, SEGMILL_SERVE_REDIS_PREFIX="long:", **PATIENT) as served:
            served.until("/readyz", 200)
            asked = f"category={category}&tag={quote(tag)}"
            for place in ("page", "location", "device"):
                asked += f"&{place}={'x' * 512}"
            found = served.ask(f"/v1/recommendations/nobody?{asked}").json
            assert [one["item_id"] for one in found["items"]] == ["p-7"]
            assert served.ask(f"/v1/popular?scope=category:{category}").json["items"][0]["item_id"] == "p-7"
            assert served.ask(f"/v1/content/nobody?slot={'x' * 512}").status == 200
            for query in (f"recommendations/c-1?category={category}c", f"popular?scope=category:{category}c"):
                assert served.ask(f"/v1/{query}").status == 400


class TestOtherRules:
    def test_conditions_of_other_rules_are_not_told(self, tmp_path_factory: pytest.TempPathFactory) -> None:
        """If the job runs by rules that this server does not know, it does not guess."""
        with EmbeddedValkey(tmp_path_factory.mktemp("other")) as valkey:
            fill(valkey.url, "another")
            with serve("--without-keys", "--without-kafka", "--redis", valkey.url) as served:
                served.until("/readyz", 200)
                (membership,) = served.ask("/v1/customers/c-1").json["segments"]
                assert (membership["condition"], membership["why"]) == (None, {})


class TestContent:
    def test_by_condition_then_for_everybody(self, valkey: EmbeddedValkey, tmp_path: Path) -> None:
        """The best entry that holds; of a customer nobody knows, what is for everybody; an empty slot is empty."""
        file, settings = tmp_path / "content.toml", tmp_path / "serve.toml"
        file.write_text(
            '[content.regular]\nslot = "top"\npriority = 2\nwhen = \'segment("regulars")\'\ntext = "Welcome back"\n'
            '[content.all]\nslot = "top"\ntext = "Welcome"\n'
        )
        settings.write_text(f'content_file = "{file}"\n')
        member = quote(SAME_TIME[0], safe="")
        words = ("--without-keys", "--without-kafka", "--redis", valkey.url, "--config", str(settings))
        with serve(*words) as served:
            served.until("/readyz", 200)
            told = served.ask(f"/v1/content/{member}?slot=top").json
            assert (told["name"], told["fields"], told["degraded"]) == ("regular", {"text": "Welcome back"}, False)
            assert served.ask("/v1/content/nobody?slot=top").json["fields"] == {"text": "Welcome"}
            empty = served.ask("/v1/content/nobody?slot=bottom").json
            assert (empty["name"], empty["fields"]) == (None, {})
            assert served.ask("/v1/content/nobody").status == 400

    def test_without_a_file(self, served: Served) -> None:
        """There is nothing to show."""
        told = served.ask("/v1/content/c-1?slot=top").json
        assert (told["name"], told["content_version"]) == (None, None)
