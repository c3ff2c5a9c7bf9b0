"""What clicks on recommendations make of the ranking."""

from math import log2
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.keys import POPULAR_CLICKED, POPULAR_SHOWN
from serving.ranking.clicks import LEAST, MOST, PRIOR, Clicks
from serving.ranking.memory_source import MemorySource
from serving.ranking.settings import RankingSettings
from serving.ranking.strategies import STRATEGIES
from state.impressions.changes import EXAMINED, FULL, HALF_LIFE_MS
from state.similar.settings import VIEWED_WITH
from state.similar.weights import weight
from tests.serving.ranking.shops import DAY_MS, NOW_MS, ask, names, profile, shop

TODAY_MS = NOW_MS // DAY_MS * DAY_MS
ITEMS = [f"p{number}" for number in range(8)]
COUNTS = st.dictionaries(
    st.sampled_from(ITEMS),
    st.tuples(st.lists(st.integers(1, 100), min_size=1, max_size=300), st.integers(0, 300)),
    min_size=1,
)
"""By item, the positions at which it was shown, and how often it was clicked."""


def sum_of(values: list[int], at_ms: int = TODAY_MS) -> float:
    """The logarithm that the job writes of counts at one moment."""
    mantissa, exponent = weight(at_ms, HALF_LIFE_MS)
    return log2(sum(values) * mantissa) + exponent


def counted(counts: dict[str, tuple[list[int], int]], at_ms: int = TODAY_MS, whole: int = 1_000) -> Clicks:
    shown = [(item, sum_of([EXAMINED[place] for place in places], at_ms)) for item, (places, _) in counts.items()]
    clicked = [(item, sum_of([FULL] * clicks, at_ms)) for item, (_, clicks) in counts.items() if clicks]
    return Clicks(sorted(shown, key=lambda one: -one[1]), sorted(clicked, key=lambda one: -one[1]), whole)


def factors(counts: dict[str, tuple[list[int], int]], weight: float = 1.0) -> dict[str, float]:
    return dict.fromkeys(ITEMS, 1.0) | counted(counts).factors(TODAY_MS, weight)


def put(source: MemorySource, counts: dict[str, tuple[list[int], int]]) -> None:
    for item, (places, clicks) in counts.items():
        source.put_count(POPULAR_SHOWN, item, sum_of([EXAMINED[place] for place in places]))
        if clicks:
            source.put_count(POPULAR_CLICKED, item, sum_of([FULL] * clicks))


class TestFactors:
    def test_the_definition(self) -> None:
        """100 + 100 impressions at the first place, 30 + 10 clicks: 20 of each were to be expected."""
        found = factors({"p0": ([1] * 100, 30), "p1": ([1] * 100, 10)})
        assert found["p0"] == pytest.approx((30 + PRIOR) / (20 + PRIOR), rel=2e-3)
        assert found["p1"] == pytest.approx((10 + PRIOR) / (20 + PRIOR), rel=2e-3)
        assert found["p2"] == 1.0

    def test_an_item_at_the_mean_or_unknown_keeps_its_score(self) -> None:
        assert factors({"p0": ([2] * 50, 7)})["p0"] == pytest.approx(1.0, abs=2e-3)
        assert Clicks().factors(TODAY_MS, 1.0) == {}
        assert counted({"p0": ([1] * 50, 0)}).factors(TODAY_MS, 1.0) == {}

    def test_chance_has_little_say_and_nothing_goes_too_far(self) -> None:
        found = factors({"p0": ([1] * 10, 3), "p1": ([1] * 1_000, 100), "p2": ([1] * 9, 0), "p3": ([1] * 9_000, 0)})
        assert 1.0 < found["p0"] < 1.3
        assert (found["p1"], found["p3"]) == (MOST, LEAST)
        assert LEAST < found["p2"] < 1.0

    def test_the_weight_is_a_power(self) -> None:
        counts = {"p0": ([1] * 100, 30), "p1": ([1] * 100, 10)}
        assert factors(counts, 0.5)["p0"] == pytest.approx(factors(counts, 1.0)["p0"] ** 0.5)
        assert counted(counts).factors(TODAY_MS, 0.0) == {}

    def test_they_fade(self) -> None:
        """Counts that are a half-life old are half as sure; very old ones, and a clock that is far off, do no harm."""
        counts = {"p0": ([1] * 100, 30), "p1": ([1] * 100, 10)}
        clicks = counted(counts)
        later = clicks.factors(TODAY_MS + HALF_LIFE_MS, 1.0)
        assert later["p0"] == pytest.approx((15 + PRIOR) / (10 + PRIOR), rel=2e-3)
        assert clicks.factors(TODAY_MS + 3_000 * HALF_LIFE_MS, 1.0) == {}
        assert all(LEAST <= factor <= MOST for factor in clicks.factors(0, 1.0).values())

    def test_of_lists_that_are_cut_off_no_more_is_read_than_they_say(self) -> None:
        """What is not listed has less than all that is: nobody is put down, or up, for that."""
        shown = [("p0", sum_of([FULL] * 500)), ("p1", sum_of([FULL] * 400))]
        clicked = [("p2", sum_of([FULL] * 90)), ("p0", sum_of([FULL] * 50))]
        found = Clicks(shown, clicked, whole=2).factors(TODAY_MS, 1.0)
        assert found["p2"] > 1.0  # with fewer impressions than p1 it has more clicks than were to be expected of that
        assert "p1" not in found or found["p1"] <= 1.0
        whole = Clicks(shown, clicked, whole=3).factors(TODAY_MS, 1.0)
        assert whole["p1"] < 1.0
        assert "p2" not in whole  # clicks without impressions say nothing


class TestLaws:
    @settings(max_examples=150, deadline=None)
    @given(COUNTS, st.sampled_from(ITEMS), st.integers(1, 200))
    def test_more_clicks_never_lower_an_item(
        self, counts: dict[str, tuple[list[int], int]], item: str, more: int
    ) -> None:
        """Beside any other one."""
        places, clicks = counts.get(item, ([1], 0))
        before = factors(counts | {item: (places, clicks)})
        after = factors(counts | {item: (places, clicks + more)})
        assert after[item] >= before[item] - 1e-9
        assert all(after[other] <= before[other] + 1e-9 for other in ITEMS if other != item)

    @settings(max_examples=150, deadline=None)
    @given(COUNTS, st.sampled_from(ITEMS), st.integers(1, 99))
    def test_the_same_clicks_at_worse_places_never_lower_an_item(
        self, counts: dict[str, tuple[list[int], int]], item: str, down: int
    ) -> None:
        places, clicks = counts.get(item, ([1], 1))
        before = factors(counts | {item: (places, clicks)})
        after = factors(counts | {item: ([min(100, place + down) for place in places], clicks)})
        assert after[item] >= before[item] - 1e-9
        assert all(after[other] <= before[other] + 1e-9 for other in ITEMS if other != item)

    def test_what_is_liked_more_wins_although_it_is_clicked_less(self) -> None:
        """30 of 100 who look at `p0` click it, and 15 of `p1`; but only a third of the visitors look so far down."""
        found = factors({"p0": ([7] * 1_000, 100), "p1": ([1] * 1_000, 150), "p2": ([2] * 2_000, 200)})
        assert found["p0"] > 1.2 > 1.0 > found["p1"]

    def test_both_are_strict_where_there_is_room(self) -> None:
        counts = {"p0": ([3] * 100, 20), "p1": ([3] * 100, 20)}
        same = factors(counts)
        assert same["p0"] == same["p1"]
        more = factors(counts | {"p0": ([3] * 100, 25)})
        assert more["p0"] > same["p0"] > more["p1"]
        worse = factors(counts | {"p0": ([6] * 100, 20)})
        assert worse["p0"] > same["p0"] > worse["p1"]


class TestAnswers:
    def place(self, source: MemorySource, item: str, **asked: Any) -> int:
        return names(ask(source, **asked)).index(item)

    @pytest.mark.parametrize("strategy", sorted(STRATEGIES))
    def test_clicks_change_the_order(self, strategy: str) -> None:
        """Of every strategy."""
        source = MemorySource()
        source.put_similar(VIEWED_WITH, "x", [("p0", 0.4, 40), ("p1", 0.39, 40), ("p2", 0.38, 40)])
        source.scopes["all"] = [("p0", 9.0), ("p1", 8.9), ("p2", 8.8)]
        asked = {"viewed": ("x",), "limit": 3, "strategy": strategy}
        assert names(ask(source, **asked)) == ["p0", "p1", "p2"]
        put(source, {"p0": ([1] * 300, 3), "p1": ([1] * 300, 20), "p2": ([1] * 300, 60)})
        assert names(ask(source, **asked)) == ["p2", "p1", "p0"]
        assert names(ask(source, settings={"click_weight": 0.0}, **asked)) == ["p0", "p1", "p2"]

    def test_an_answer_says_the_score_it_was_ranked_by(self) -> None:
        source = shop()
        plain = {item.item_id: item for item in ask(source, viewed=("s0",), limit=2).items}
        put(source, {"s1": ([1] * 300, 10), "s2": ([1] * 300, 90)})
        liked = {item.item_id: item for item in ask(source, viewed=("s0",), limit=2).items}
        by = source.clicks().factors(NOW_MS, RankingSettings().click_weight)
        assert by["s1"] < 1 < by["s2"]
        for name, item in liked.items():
            assert item.score == pytest.approx(plain[name].score * by[name])
            assert item.reasons == plain[name].reasons

    def test_a_level_stays_what_it_is_and_so_does_the_shop_own_list(self) -> None:
        """Clicks lift nothing over a better level, and the list of `static` is in the shop's order."""
        source = MemorySource()
        source.put_similar(VIEWED_WITH, "x", [("p0", 0.4, 40)])
        source.scopes["all"] = [("p1", 9.0)]
        put(source, {"p0": ([1] * 300, 0), "p1": ([1] * 300, 90), "p2": ([1] * 300, 0), "p3": ([1] * 300, 90)})
        answer = ask(source, viewed=("x",), limit=5, settings={"static": ("p2", "p3", "p4")})
        assert names(answer) == ["p0", "p1", "p2", "p3", "p4"]

    def test_the_shop_rules_come_after(self) -> None:
        """A boost multiplies what the clicks have made; a pin asks nobody."""
        source = shop()
        put(source, {"s1": ([1] * 300, 90), "s2": ([1] * 300, 0), "s9": ([1] * 300, 0)})
        rules = '[rules.a]\naction = "boost"\nfactor = 50\nitems = ["s2"]'
        assert names(ask(source, rules, viewed=("s0",), limit=2))[0] == "s2"
        pinned = '[rules.a]\naction = "pin"\nitems = ["s9"]\nposition = 1'
        assert names(ask(source, pinned, viewed=("s0",), limit=2))[0] == "s9"

    def test_the_best_of_a_long_list_is_found_however_deep_it_lies(self) -> None:
        """Candidates are looked up in stretches, by their scores with their clicks."""
        source = MemorySource()
        source.scopes["all"] = [(f"t{number:03}", 200.0 - number / 100) for number in range(200)]
        put(source, {"t199": ([1] * 300, 90), **{f"t{number:03}": ([1] * 300, 20) for number in range(9)}})
        assert self.place(source, "t199", strategy="popular", limit=5) == 0

    def test_a_known_customer_too(self) -> None:
        source = shop()
        source.profiles["c"] = profile(viewed=[("s0", 60_000)])
        put(source, {"s1": ([1] * 300, 1), "s2": ([1] * 300, 90)})
        with_all = ask(source, limit=2, settings={"click_weight": 1.0})
        assert names(with_all) == ["s2", "s1"]
        assert not with_all.degraded


@pytest.mark.parametrize("weight", [-0.1, 1.1])
def test_the_setting_has_a_range(weight: float) -> None:
    with pytest.raises(ValueError, match="click_weight"):
        RankingSettings(click_weight=weight)
