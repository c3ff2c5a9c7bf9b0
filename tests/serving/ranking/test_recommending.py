"""What is recommended to whom, and why."""

from typing import Any

import pytest

from serving.ranking.request import Filters
from serving.ranking.strategies import STRATEGIES, UnknownStrategy
from state.similar.settings import VIEWED_WITH
from tests.serving.ranking.shops import DAY_MS, MINUTE_MS, NOW_MS, ask, names, profile, shop


class TestSession:
    def test_the_last_item_weighs_most(self) -> None:
        """Its neighbours come before those of the item before it."""
        answer = ask(shop(), viewed=("s1", "h5"), strategy="session", limit=4)
        assert names(answer) == ["s2", "s3", "h6", "h7"]
        assert answer.level == "session"

    def test_says_which_item_led_to_it(self) -> None:
        """By kind, by id, and in a sentence."""
        first = ask(shop(), viewed=("s1",), strategy="session", limit=1).items[0].reasons[0]
        assert (first.kind, first.about, first.text) == ("viewed", "s1", "because you viewed s1")

    def test_knows_nothing_of_earlier_sessions(self) -> None:
        """A view from yesterday is no part of it."""
        source = shop()
        source.profiles["c"] = profile(viewed=[("h5", DAY_MS)])
        assert not {"h6", "h7"} & set(names(ask(source, viewed=("s1",), strategy="session", limit=2)))

    def test_goes_on_with_views_of_the_profile(self) -> None:
        """Those of the session that is going on, when the caller sends none."""
        source = shop()
        source.profiles["c"] = profile(viewed=[("s1", MINUTE_MS)])
        answer = ask(source, strategy="session", limit=2)
        assert names(answer) == ["s2", "s3"]

    def test_a_session_ends_with_its_gap(self) -> None:
        """Views of 31 minutes ago belong to one that is over."""
        source = shop()
        source.profiles["c"] = profile(viewed=[("s1", 31 * MINUTE_MS)])
        assert ask(source, strategy="session", limit=2).level == "category"

    def test_may_lead_back(self) -> None:
        """With `viewed_again`, to where the visitor was."""
        answer = ask(shop(), settings={"viewed_again": True}, viewed=("s1", "h5"), strategy="session", limit=3)
        assert names(answer) == ["s1", "s2", "h5"]
        assert answer.items[0].reasons[0].kind == "returned"


class TestPersonal:
    def test_the_cart_is_asked_for_companions(self) -> None:
        """By what is bought with it, not what is viewed with it."""
        answer = ask(shop(), cart=("s4",), limit=1)
        assert names(answer) == ["h4"]
        assert answer.items[0].reasons[0].kind == "cart"

    def test_the_cart_counts_most_on_its_page(self) -> None:
        """There companions come before what goes with a view, elsewhere behind it."""
        asked = {"viewed": ("s1",), "cart": ("s4",), "limit": 1}
        assert names(ask(shop(), page="cart", **asked)) == ["h4"]
        assert names(ask(shop(), page="home", **asked)) == ["s2"]

    def test_older_views_weigh_less(self) -> None:
        """A view of a week ago less than one of an hour ago, both of earlier sessions."""
        source = shop()
        source.profiles["c"] = profile(viewed=[("s1", 90 * MINUTE_MS), ("h5", 7 * DAY_MS)])
        first = {item.item_id: item.score for item in ask(source, limit=4).items}
        source.profiles["c"] = profile(viewed=[("s1", 90 * MINUTE_MS), ("h5", 100 * MINUTE_MS)])
        second = {item.item_id: item.score for item in ask(source, limit=4).items}
        assert first["h6"] < second["h6"] / 2

    def test_what_was_bought_leads_on(self) -> None:
        """And says so."""
        source = shop()
        source.profiles["c"] = profile(bought=[("s4", DAY_MS)])
        first = ask(source, limit=1).items[0]
        assert (first.item_id, first.level, first.reasons[0].text) == ("h4", "personal", "because you bought s4")

    def test_new_items_of_top_categories_are_found(self) -> None:
        """Though nobody has viewed them with anything."""
        source = shop()
        source.profiles["c"] = profile(viewed=[("h5", MINUTE_MS)], categories=["shoes"])
        found = {item.item_id: item for item in ask(source, limit=5).items}
        assert found["n0"].reasons[0].kind == "new"
        assert found["n0"].level == "personal"

    def test_is_not_said_of_strangers(self) -> None:
        """Who has no profile gets an answer to the session."""
        assert ask(shop(), viewed=("s1",), limit=2).level == "session"


class TestSeed:
    def test_its_formula(self) -> None:
        """0.5 relevance + 0.3 recency + 0.2 engagement, by hand for two candidates of one view."""
        source = shop()
        source.profiles["c"] = profile(viewed=[("s1", 3 * DAY_MS)])
        source.scopes["all"] = [("x", 100.0), ("s3", 25.0)]
        scores = {item.item_id: item.score for item in ask(source, strategy="seed", limit=2).items}
        assert scores["s2"] == pytest.approx(0.5 * 1 + 0.3 * 0.5 + 0.2 * 0)
        # strengths sqrt(0.4 * 40) = 4 and sqrt(0.2 * 20) = 2: half the relevance; engagement sqrt(25 / 100)
        assert scores["s3"] == pytest.approx(0.5 * 0.5 + 0.3 * 0.5 + 0.2 * 0.5)

    def test_recency_is_that_of_the_youngest(self) -> None:
        """Of two views whose lists both name the item."""
        source = shop()
        source.profiles["c"] = profile(viewed=[("s1", 3 * DAY_MS), ("s0", 6 * DAY_MS)])
        scores = {item.item_id: item.score for item in ask(source, strategy="seed", limit=3).items}
        assert scores["s2"] == pytest.approx(0.5 * 1 + 0.3 * 0.5)

    @pytest.mark.parametrize(
        ("known", "asked", "age_ms"),
        [
            ({"cart": ["s5"]}, {}, 60 * MINUTE_MS),
            ({"cart": ["s5"], "viewed": [("s5", 3 * DAY_MS)]}, {}, 3 * DAY_MS),
            ({"cart": ["s5"], "viewed": [("s5", 3 * DAY_MS), ("s5", 9 * DAY_MS)]}, {}, 3 * DAY_MS),
            ({"cart": ["s5"], "viewed": [("s5", 6 * DAY_MS)], "bought": [("s5", 3 * DAY_MS)]}, {}, 3 * DAY_MS),
            ({"cart": ["s5"], "viewed": [("s5", 3 * DAY_MS)]}, {"product_id": "s5"}, 0),
            ({"cart": ["h9"], "viewed": [("s5", 3 * DAY_MS)]}, {"cart": ("s5",)}, 0),
            ({}, {"cart": ("s5",)}, 0),
        ],
        ids=["session", "view", "newest-view", "purchase", "looked-at", "put-in-since", "unknown"],
    )
    def test_an_item_in_the_cart_is_as_old_as_what_is_known_of_it(
        self, known: dict[str, Any], asked: dict[str, Any], age_ms: int
    ) -> None:
        """By its companion, whose relevance is 1, as nothing else has a list here, and which is not trending."""
        source = shop()
        source.profiles["c"] = profile(**known)
        source.put_similar(VIEWED_WITH, "s5", [])
        found = {item.item_id: item.score for item in ask(source, strategy="seed", limit=100, **asked).items}
        assert found["h5"] == pytest.approx(0.5 + 0.3 * 0.5 ** (age_ms / (3 * DAY_MS)))


class TestPopular:
    def test_is_the_same_for_all(self) -> None:
        """But for what one has."""
        assert names(ask(shop(), strategy="popular", limit=3)) == ["t0", "t1", "t2"]
        assert names(ask(shop(), strategy="popular", limit=3, cart=("t1",))) == ["t0", "t2", "t3"]


class TestLeftOut:
    def test_what_is_at_hand(self) -> None:
        """What is being looked at, lies in the cart, was viewed just now, or is excluded."""
        answer = ask(shop(), product_id="s1", viewed=("s2",), cart=("s3",), exclude=("s4", "t0"), limit=10)
        assert not {"s1", "s2", "s3", "s4", "t0"} & set(names(answer))

    def test_what_was_bought(self) -> None:
        """Within the time of the setting, and not after."""
        source = shop()
        source.profiles["c"] = profile(bought=[("s2", 100 * DAY_MS)])
        assert "s2" not in names(ask(source, viewed=("s1",), limit=3))
        assert "s2" in names(ask(source, settings={"bought_out_ms": 99 * DAY_MS}, viewed=("s1",), limit=3))

    def test_not_what_is_bought_again_and_again(self) -> None:
        """A category may be exempt."""
        source = shop()
        source.profiles["c"] = profile(bought=[("s2", DAY_MS)])
        assert "s2" in names(ask(source, settings={"bought_again": ("shoes",)}, viewed=("s1",), limit=3))

    def test_what_is_out_of_stock(self) -> None:
        """When the catalog says so; unless out-of-stock items are asked for."""
        source = shop()
        source.put_items([type(source.catalog["s2"])(item_id="s2", in_stock=False)])
        assert "s2" not in names(ask(source, viewed=("s1",), limit=3))
        assert "s2" in names(ask(source, viewed=("s1",), limit=3, filters=Filters(in_stock=False)))

    def test_what_a_filter_leaves_out(self) -> None:
        """An item that the catalog does not know passes no filter."""
        answer = ask(shop(), viewed=("s1",), limit=10, filters=Filters(categories=("shoes",), tags=("sale",)))
        assert names(answer) == ["s3", "s9"]


class TestQuestions:
    def test_limits_are_kept(self) -> None:
        """From 1 to 100, no more, no less."""
        assert len(ask(shop(), limit=1).items) == 1
        for wrong in (0, 101):
            with pytest.raises(ValueError, match="must be between 1 and 100"):
                ask(shop(), limit=wrong)

    def test_unknown_strategies_are_refused(self) -> None:
        """With the names of those there are."""
        with pytest.raises(UnknownStrategy, match="personal, popular, seed, session"):
            ask(shop(), strategy="best")

    @pytest.mark.parametrize("name", sorted(STRATEGIES))
    def test_incomplete_profiles_do_no_harm(self, name: str) -> None:
        """Every part may be missing."""
        for known in ({}, {"recent": {}}, {"features": {}, "segments": {}}, {"recent": {"viewed": [["s1", NOW_MS]]}}):
            source = shop()
            source.profiles["c"] = {"version": 1, "as_of_ms": 1, **known}
            assert len(ask(source, strategy=name, limit=5).items) == 5
