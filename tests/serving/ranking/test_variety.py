"""No category has more than its share, and likeness costs."""

from typing import ClassVar

from serving.catalog.item import Item
from serving.ranking.diversity import alike, mmr, spread
from tests.serving.ranking.shops import ask, names, shop

ITEMS = {name: Item(item_id=name, category=name[0], tags=(name[-1],)) for name in ("a1", "a2", "a3", "b1", "b2", "c1")}


class TestSpread:
    def test_those_too_many_come_last(self) -> None:
        """In the order that they had."""
        assert spread((), ["a1", "a2", "a3", "b1", "x"], ITEMS, 4, 0.5) == ["a1", "a2", "b1", "x", "a3"]

    def test_earlier_levels_count(self) -> None:
        """The share is one of the whole answer."""
        assert spread(["a1", "a2"], ["a3", "b1"], ITEMS, 4, 0.5) == ["b1", "a3"]

    def test_one_place_is_for_everybody(self) -> None:
        """However small the share is; and a share of 1 changes nothing."""
        assert spread((), ["a1", "b1", "a2"], ITEMS, 2, 0.01) == ["a1", "b1", "a2"]
        assert spread((), ["a1", "a2", "b1"], ITEMS, 2, 1.0) == ["a1", "a2", "b1"]

    def test_in_an_answer(self) -> None:
        """A hat among shoes that all score higher."""
        source = shop()
        asked = {"viewed": ("s1", "s5", "h5"), "strategy": "session", "limit": 3}
        assert [name[0] for name in names(ask(source, settings={"category_share": 1.0}, **asked))].count("s") == 3
        assert [name[0] for name in names(ask(source, settings={"category_share": 0.5}, **asked))].count("s") == 2


class TestMarginalRelevance:
    SCORES: ClassVar = {"a1": 1.0, "a2": 0.9, "b1": 0.8, "b2": 0.7}

    def test_likeness_costs(self) -> None:
        """The second of a kind goes behind the first of another."""
        assert mmr(list(self.SCORES), self.SCORES, ITEMS, 4, 0.5) == ["a1", "b2", "a2", "b1"]

    def test_weight_0_changes_nothing(self) -> None:
        """And unknown items are like nothing."""
        assert mmr(list(self.SCORES), self.SCORES, ITEMS, 4, 0.0) == list(self.SCORES)
        assert mmr(list(self.SCORES), self.SCORES, {}, 4, 0.9) == list(self.SCORES)

    def test_alike(self) -> None:
        """Category and tags, half each."""
        assert alike(ITEMS["a1"], ITEMS["a2"]) == 0.5
        assert alike(ITEMS["a1"], ITEMS["b1"]) == 0.5
        assert alike(ITEMS["a1"], ITEMS["a1"]) == 1.0
        assert alike(ITEMS["a1"], ITEMS["b2"]) == alike(ITEMS["a1"], None) == 0.0
