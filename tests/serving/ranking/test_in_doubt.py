"""What is shown while the catalog or the profile cannot be read: nothing that a rule or a filter might forbid."""

from typing import Any

import pytest

from serving.ranking.request import Answer, Filters
from serving.ranking.source import Incomplete
from tests.serving.ranking.shops import ask, names, profile, shop

STATIC = {"static": ("s2", "s3")}
ASKED = {"viewed": ("s1",), "strategy": "session", "limit": 2}
"""Answered by s2 and s3, if nothing is in the way: the first one is not on sale, the second one is."""


def asked(unread: tuple[str, ...], rules: str | None = None, **more: Any) -> Answer:
    """The question above while nobody can say what the catalog says of some items."""
    source = shop()
    source.unread.update(unread)
    return ask(source, rules, **{**ASKED, **more})


class TestFilters:
    @pytest.mark.parametrize(
        "filters",
        [
            Filters(categories=("shoes",)), Filters(tags=("sale",)), Filters(without_tags=("old",)),
            Filters(least_price_cents=1), Filters(most_price_cents=9), Filters(in_stock=True),
        ],
    )  # fmt: skip
    def test_what_is_asked_for_must_be_known(self, filters: Filters) -> None:
        """On no level, the static list included."""
        answer = asked(("s2", "s3"), filters=filters, settings=STATIC)
        assert not {"s2", "s3"} & set(names(answer))
        assert (answer.degraded, answer.failed) == (True, ("items",))

    @pytest.mark.parametrize("filters", [Filters(), Filters(in_stock=False)])
    def test_where_nothing_is_asked_it_is_shown(self, filters: Filters) -> None:
        """And the answer says that something is missing."""
        answer = asked(("s2", "s3"), filters=filters)
        assert (names(answer), answer.degraded) == (["s2", "s3"], True)

    def test_what_can_be_read_is_judged_by_what_it_says(self) -> None:
        """Each item by itself."""
        assert names(asked(("s2",), filters=Filters(categories=("shoes",))))[0] == "s3"

    def test_an_item_that_the_catalog_does_not_know_is_another_thing(self) -> None:
        """That was read, and nothing is missing."""
        answer = ask(shop(), strategy="popular", limit=2, filters=Filters(in_stock=True))
        assert (names(answer), answer.degraded) == (["t0", "t1"], False)


class TestRules:
    @pytest.mark.parametrize(
        "rule",
        [
            'action = "hide"\ntags = ["sale"]', 'action = "hide"\nin_stock = false', 'action = "hide"\nnew_days = 1',
            'action = "hide"\nitems = ["s2", "s3"]\nwithout_tags = ["sale"]', 'action = "only"\ncategories = ["shoes"]',
        ],
    )  # fmt: skip
    def test_what_a_rule_might_leave_out_is_left_out(self, rule: str) -> None:
        """Nor pinned, nor in the static list."""
        pin = '[rules.p]\naction = "pin"\nitems = ["s3"]'
        answer = asked(("s2", "s3"), f"[rules.r]\n{rule}\n{pin}", settings=STATIC)
        assert not {"s2", "s3"} & set(names(answer))
        assert answer.degraded

    @pytest.mark.parametrize(
        "rule",
        [
            'action = "hide"\nitems = ["h1"]\ntags = ["sale"]', 'action = "only"\nitems = ["s2", "s3"]',
            'action = "hide"\ntags = ["sale"]\npages = ["home"]', 'action = "bury"\nfactor = 0.5\ntags = ["sale"]',
        ],
    )  # fmt: skip
    def test_what_no_rule_can_mean_is_shown(self, rule: str) -> None:
        """Another item, another page, or nothing that leaves out."""
        assert names(asked(("s2", "s3"), f"[rules.r]\n{rule}")) == ["s2", "s3"]

    def test_a_catalog_that_is_gone(self) -> None:
        """As if each item could not be read."""
        source = shop()
        source.broken.add("items")
        assert names(ask(source, '[rules.r]\naction = "hide"\ntags = ["sale"]', **ASKED)) == []
        assert names(ask(source, **ASKED)) == ["s2", "s3"]


HIDE, ONLY = 'action = "hide"\nitems = ["s2"]', 'action = "only"\nitems = ["s3"]'
PIN, BOOST = 'action = "pin"\nitems = ["s3"]', 'action = "boost"\nfactor = 9\nitems = ["s3"]'
NOT_VIP = "condition = 'not segment(\"vip\")'"


class TestProfile:
    @pytest.mark.parametrize(
        ("rule", "shown"), [(HIDE, ["s3", "s9"]), (ONLY, ["s3"]), (PIN, ["s2", "s3"]), (BOOST, ["s2", "s3"])]
    )
    @pytest.mark.parametrize("when", [NOT_VIP, 'devices = ["phone"]', 'locations = ["FR"]'])
    @pytest.mark.parametrize("how", ["broken", "incomplete"])
    def test_rules_about_somebody_of_whom_too_little_could_be_read(
        self, rule: str, shown: list[str], when: str, how: str
    ) -> None:
        """Those that leave something out hold; those that put something forward do not."""
        source = shop()
        if how == "broken":
            source.broken.add("profile")
        else:
            source.profiles["c"] = Incomplete(profile())
        answer = ask(source, f"[rules.r]\n{rule}\n{when}", **ASKED)
        assert (names(answer), answer.failed) == (shown, ("profile",))

    def test_what_the_request_says_is_no_doubt(self) -> None:
        """A device that is another one, and a page."""
        source = shop()
        source.broken.add("profile")
        for when, more in (('devices = ["phone"]', {"device": "desktop"}), (f'pages = ["home"]\n{NOT_VIP}', {})):
            assert names(ask(source, f"[rules.r]\n{HIDE}\n{when}", **ASKED, **more)) == ["s2", "s3"]

    def test_somebody_who_is_unknown_is_another_thing(self) -> None:
        """In no segment, and on no phone."""
        assert names(ask(shop(), f"[rules.r]\n{PIN}\n{NOT_VIP}", **ASKED)) == ["s3", "s2"]
        assert names(ask(shop(), f'[rules.r]\n{HIDE}\ndevices = ["phone"]', **ASKED)) == ["s2", "s3"]
