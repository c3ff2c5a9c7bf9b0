"""What stands far down is found where it has to be."""

import pytest

from serving.catalog.item import Item
from state.similar.settings import VIEWED_WITH
from tests.serving.ranking.shops import BrokenSource, ask, names

ASKED = {"viewed": ("x",), "strategy": "session", "limit": 3}


@pytest.fixture
def source() -> BrokenSource:
    """Fifty neighbours, p00 the best."""
    source = BrokenSource()
    source.put_similar(VIEWED_WITH, "x", [(f"p{number:02}", 0.9 - number / 100, 90) for number in range(50)])
    source.scopes["all"] = [("t0", 1.0)]
    return source


class TestLongLists:
    def test_the_catalog_may_turn_down_many(self, source: BrokenSource) -> None:
        """Then the next ones of the same level are asked for, not another level."""
        source.put_items(Item(item_id=f"p{number:02}", in_stock=number >= 32) for number in range(50))
        answer = ask(source, **ASKED)
        assert (names(answer), answer.level) == (["p32", "p33", "p34"], "session")

    def test_a_boost_lifts_from_below(self, source: BrokenSource) -> None:
        """As far as its factor goes: the score of p49 is two thirds of the first one's."""
        rule = '[rules.r]\naction = "boost"\nfactor = {}\nitems = ["p49"]'
        assert names(ask(source, rule.format(9), **ASKED))[0] == "p49"
        assert "p49" not in names(ask(source, rule.format(1.1), **ASKED))

    def test_no_more_is_looked_up_than_needed(self, source: BrokenSource) -> None:
        """Two for each of three places; where something may still move up, thirty more to choose from."""
        ask(source, **ASKED)
        assert [len(what) for part, what in source.asked if part == "items"] == [6]
        source.asked.clear()
        ask(source, settings={"diversity": 0.5}, **ASKED)
        assert [len(what) for part, what in source.asked if part == "items"] == [33]

    def test_those_that_are_too_many_of_a_category_are_not_enough(self, source: BrokenSource) -> None:
        """Then all that there are to choose from are looked up, in two goes, and one of another category is found."""
        source.put_items(Item(item_id=f"p{number:02}", category="b" if number == 30 else "a") for number in range(50))
        assert names(ask(source, settings={"category_share": 0.5}, **ASKED)) == ["p00", "p01", "p30"]
        assert [len(what) for part, what in source.asked if part == "items"] == [6, 27]
