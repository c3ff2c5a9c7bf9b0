"""What is said to have led to an item has led to it."""

import pytest

from tests.serving.ranking.shops import DAY_MS, MINUTE_MS, ask, profile, shop


class TestReasons:
    def test_only_voices_that_gave_something_are_cited(self) -> None:
        """Not one that names the item, but so weakly that it was not counted."""
        source = shop()
        source.profiles["c"] = profile(viewed=[("s1", MINUTE_MS), ("s0", 90 * DAY_MS)])
        (item,) = ask(source, limit=1).items
        assert [(one.kind, one.about) for one in item.reasons] == [("viewed", "s1")]
        source.profiles["c"] = profile(viewed=[("s1", MINUTE_MS), ("s0", 2 * MINUTE_MS)])
        (item,) = ask(source, limit=1).items
        assert [(one.kind, one.about) for one in item.reasons] == [("viewed", "s1"), ("viewed", "s0")]

    def test_nor_a_segment_where_the_item_has_nothing(self) -> None:
        """A score of 0 is no popularity."""
        source = shop()
        source.scopes["segment:vip"] = [("v0", 9.0), ("s2", 0.0)]
        source.profiles["c"] = profile(viewed=[("s1", MINUTE_MS)], segments=["vip"])
        found = {item.item_id: item.reasons for item in ask(source, limit=3).items}
        assert [one.kind for one in found["s2"]] == ["viewed"]

    @pytest.mark.parametrize("strategy", ["personal", "session", "seed"])
    def test_none_is_below_the_least_amount(self, strategy: str) -> None:
        """Of many views, each older than the one before."""
        source = shop()
        source.profiles["c"] = profile(viewed=[(f"s{back}", back * 9 * DAY_MS) for back in range(10)])
        for item in ask(source, strategy=strategy, limit=20).items:
            for one in item.reasons:
                if one.kind == "viewed":
                    back = int(str(one.about)[1:])
                    largest_share = 2 / 3  # strengths 4 and 2
                    assert (1 + back) ** -1.5 * 0.5 ** (3 * back) * largest_share >= 0.002
