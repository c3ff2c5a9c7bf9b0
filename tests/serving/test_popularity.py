"""What is popular, made of what the job writes."""

from math import log2

import pytest

from serving.catalog.item import Item
from serving.popularity import HALF_LIFE_MS, PURCHASE, of_category, of_members, together

NOW_MS = 1_750_000_000_000


class TestTogether:
    def test_shares_of_the_first_are_added(self) -> None:
        """However large the counts are that a list is made of."""
        viewed = [("a", 700 + log2(8)), ("b", 700 + log2(4)), ("c", 700 + log2(2))]
        bought = [("c", 300 + log2(10)), ("a", 300 + log2(5))]
        assert together(viewed, bought) == (("a", pytest.approx(0.75)), ("c", pytest.approx(0.625)), ("b", 0.25))

    def test_one_list_alone(self) -> None:
        """A shop that tells of orders only; and one that tells of nothing."""
        assert together([], [("a", 5.0), ("b", 4.0)]) == (("a", 1.0), ("b", 0.5))
        assert together([], []) == ()


class TestOfCategory:
    def test_what_the_catalog_puts_into_it(self) -> None:
        """In the order of the whole; what the catalog does not know is in none."""
        items = [
            Item(item_id="a", category="x"),
            None,
            Item(item_id="c", category="y"),
            Item(item_id="d", category="x"),
        ]
        everything = [("a", 1.0), ("b", 0.9), ("c", 0.5), ("d", 0.1)]
        assert of_category(everything, items, "x") == (("a", 1.0), ("d", 0.1))


class TestOfMembers:
    def test_newer_counts_more_and_purchases_do(self) -> None:
        """By age beside the newest of all, so that a shop that rests forgets nothing."""
        profiles = [
            {"recent": {"viewed": [["a", NOW_MS], ["b", NOW_MS - HALF_LIFE_MS]]}},
            {"recent": {"bought": [["b", NOW_MS - HALF_LIFE_MS]], "cart": {"z": 1}}},
            {"recent": {}}, {}, None,
        ]  # fmt: skip
        assert of_members(profiles) == (("b", pytest.approx(0.5 + PURCHASE / 2)), ("a", 1.0))
        assert of_members([]) == ()
