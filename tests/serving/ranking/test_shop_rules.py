"""Pins, boosts and the like, in their contexts."""

import pytest

from serving.catalog.item import Item
from tests.serving.ranking.shops import DAY_MS, MINUTE_MS, NOW_MS, ask, names, profile, shop

VIEWED = {"viewed": ("s1", "h5"), "strategy": "session", "limit": 4}


def ruled(text: str, **more: object) -> list[str]:
    return names(ask(shop(), f"[rules.r]\n{text}", **{**VIEWED, **more}))


class TestActions:
    def test_pin(self) -> None:
        """At its place, whether or not it was a candidate; several one after the other."""
        assert ruled('action = "pin"\nitems = ["z", "h6"]\nposition = 2') == ["s2", "z", "h6", "s3"]
        first = ask(shop(), '[rules.r]\naction = "pin"\nitems = ["z"]', **VIEWED).items[0]
        assert (first.item_id, first.level, first.reasons[0].text) == ("z", "pinned", "placed by the shop (r)")

    def test_an_item_that_two_rules_pin_has_the_first_place(self) -> None:
        """Whichever stands first in the file."""
        rules = [f'[rules.at-{place}]\naction = "pin"\nitems = ["z"]\nposition = {place}\n' for place in (1, 50)]
        for text in ("".join(rules), "".join(rules[::-1])):
            assert names(ask(shop(), text, **VIEWED))[0] == "z"

    def test_a_pin_with_too_few_others_comes_last(self) -> None:
        """There is no hole before it."""
        source = shop()
        source.scopes.clear()
        rule = '[rules.r]\naction = "pin"\nitems = ["z"]\nposition = 9'
        assert names(ask(source, rule, viewed=("s1",), limit=9)) == ["s2", "s3", "z"]

    def test_a_pin_is_no_exception(self) -> None:
        """What is in the cart, excluded or out of stock is not pinned either."""
        rule = 'action = "pin"\nitems = ["z"]'
        assert "z" not in ruled(rule, exclude=("z",))
        assert "z" not in ruled(rule, cart=("z",))
        source = shop()
        source.put_items([Item(item_id="z", in_stock=False)])
        assert "z" not in names(ask(source, f"[rules.r]\n{rule}", **VIEWED))

    def test_boost_and_bury(self) -> None:
        """Scores are multiplied, and a boost is named among the reasons."""
        assert ruled('action = "boost"\nfactor = 9\ncategories = ["hats"]') == ["h6", "h7", "s2", "s3"]
        assert ruled('action = "bury"\nfactor = 0.01\nitems = ["s2"]') == ["s3", "h6", "h7", "s2"]
        answer = ask(shop(), '[rules.hats]\naction = "boost"\nfactor = 9\ncategories = ["hats"]', **VIEWED)
        assert [reason.kind for reason in answer.items[0].reasons] == ["viewed", "rule"]
        assert [reason.kind for reason in answer.items[2].reasons] == ["viewed"]

    def test_hide_and_only(self) -> None:
        """The one leaves out what it names, the other all else."""
        assert ruled('action = "hide"\ntags = ["sale"]', limit=2) == ["s2", "h6"]
        assert ruled('action = "only"\ntags = ["sale"]', limit=2) == ["s3", "h7"]

    def test_what_is_named_must_hold_together(self) -> None:
        """A category and a tag: both."""
        assert ruled('action = "hide"\ntags = ["sale"]\ncategories = ["hats"]') == ["s2", "s3", "h6", "s9"]

    def test_new_items(self) -> None:
        """By when they were listed."""
        source = shop()
        source.put_items([Item(item_id="h6", listed_ms=NOW_MS - 3 * DAY_MS), Item(item_id="s2", listed_ms=1)])
        rule = '[rules.r]\naction = "boost"\nfactor = 9\nnew_days = {}'
        assert names(ask(source, rule.format(4), **VIEWED))[0] == "h6"
        assert names(ask(source, rule.format(2), **VIEWED))[0] == "s2"


class TestContexts:
    @pytest.mark.parametrize(
        ("when", "asked", "holds"),
        [
            ('devices = ["mobile"]', {"device": "mobile"}, True),
            ('devices = ["mobile"]', {"device": "desktop"}, False),
            ('devices = ["mobile"]', {}, True),  # as the profile says
            ('locations = ["DE", "AT"]', {"location": "AT"}, True),
            ('locations = ["DE", "AT"]', {}, False),
            ('pages = ["home"]', {"page": "home"}, True),
            ('pages = ["home"]', {}, False),
            ('hours = "09:00-11:00"', {}, True),
            ('hours = "10:01-11:00"', {}, False),
            ('hours = "22:00-10:00"', {}, False),
            ('hours = "22:00-10:01"', {}, True),
            ('hours = "23:00-24:00"', {"now_ms": NOW_MS + 14 * 60 * MINUTE_MS - 1}, True),
            ('days = ["mon"]', {}, True),
            ('days = ["sat", "sun"]', {}, False),
            ('days = ["mon"]\nhours = "10:30-11:00"', {}, False),
            ('days = ["sun"]\nhours = "22:00-10:01"', {}, True),  # since Sunday night
            ('days = ["mon"]\nhours = "22:00-10:01"', {}, False),
            ('days = ["mon"]\nhours = "22:00-10:01"', {"now_ms": NOW_MS + 12 * 60 * MINUTE_MS}, True),
            ("condition = 'segment(\"vip\")'", {}, True),
            ("condition = 'not segment(\"vip\") or orders_30d > 2'", {}, False),
            ("condition = 'orders_30d > 1'", {}, True),
        ],
    )  # fmt: skip
    def test_a_rule_holds_in_its_own(self, when: str, asked: dict[str, object], holds: bool) -> None:
        """By day, hour, device, place, page, and what is known of the customer."""
        source = shop()
        source.profiles["c"] = profile(segments=["vip"], device="mobile", orders_30d=2)
        rule = f'[rules.r]\naction = "pin"\nitems = ["z"]\n{when}'
        assert ("z" in names(ask(source, rule, **{**VIEWED, **asked}))) == holds

    def test_hours_are_local(self) -> None:
        """Of the file's time zone."""
        rule = '[rules.r]\naction = "pin"\nitems = ["z"]\nhours = "11:00-11:30"'
        assert "z" not in names(ask(shop(), rule, **VIEWED))
        assert "z" in names(ask(shop(), f'timezone = "Europe/Berlin"\n{rule}', **VIEWED))
