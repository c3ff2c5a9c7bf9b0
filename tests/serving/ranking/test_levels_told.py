"""An item's level is that of the voices which gave it, not of all that the customer could have had a voice for."""

import pytest

from serving.ranking.request import LEVELS
from tests.serving.ranking.shops import DAY_MS, MINUTE_MS, BrokenSource, ask, names, profile, shop

OLD_MS = 90 * DAY_MS
"""A view of so long ago says too little to be counted."""


def told(answer: object) -> list[tuple[str, str]]:
    """(item, level) of each item."""
    return [(item.item_id, item.level) for item in answer.items]  # type: ignore[attr-defined]


def quiet() -> BrokenSource:
    """The shop, and a customer of `vip` whose only view was of an item that goes with nothing."""
    source = shop()
    source.profiles["c"] = profile(viewed=[("alone", MINUTE_MS)], segments=["vip"])
    return source


class TestWithoutAPersonalVoice:
    def test_the_segment_alone(self) -> None:
        """What the customer viewed names nothing."""
        answer = ask(quiet(), limit=2)
        assert (answer.level, told(answer)) == ("segment", [("v0", "segment"), ("v1", "segment")])

    def test_what_personal_voices_name_may_not_be_shown(self) -> None:
        """Then they gave nothing either."""
        source = shop()
        source.profiles["c"] = profile(viewed=[("s1", MINUTE_MS)], segments=["vip"])
        assert ask(source, limit=3).level == "personal"
        answer = ask(source, limit=2, exclude=("s2", "s3"))
        assert (answer.level, told(answer)) == ("segment", [("v0", "segment"), ("v1", "segment")])

    def test_voices_too_weak_to_count(self) -> None:
        """A view of three months ago."""
        source = shop()
        source.profiles["c"] = profile(viewed=[("s1", OLD_MS)], segments=["vip"])
        answer = ask(source, limit=2)
        assert (answer.level, told(answer)) == ("segment", [("v0", "segment"), ("v1", "segment")])

    def test_lists_that_cannot_be_read(self) -> None:
        """The answer says so, and what it was made of instead."""
        source = shop()
        source.profiles["c"] = profile(viewed=[("s1", MINUTE_MS)], segments=["vip"])
        source.broken = {"similar"}
        answer = ask(source, limit=2)
        assert (answer.level, answer.degraded) == ("segment", True)

    def test_from_level_to_level(self) -> None:
        """Segment, category, trending and static, each in its place."""
        source = quiet()
        source.profiles["c"]["features"]["top_categories"] = ["shoes"]
        source.scopes["all"] = [("t0", 1.0)]
        answer = ask(source, settings={"static": ("z",), "category_share": 1.0}, limit=30)
        assert told(answer) == [
            ("v0", "segment"), ("v1", "segment"), ("s9", "category"), ("c1", "category"), ("n0", "category"),
            ("t0", "trending"), ("z", "static"),
        ]  # fmt: skip

    def test_the_category_alone(self) -> None:
        """What is new in a top category is no personal voice either."""
        source = quiet()
        source.profiles["c"] = profile(viewed=[("alone", MINUTE_MS)], categories=["shoes"])
        answer = ask(source, limit=3)
        assert (answer.level, told(answer)[0]) == ("category", ("s9", "category"))

    @pytest.mark.parametrize("segments", [[], ["nobody-in-it"]])
    def test_a_customer_without_history(self, segments: list[str]) -> None:
        """Is shown what is popular and new in the top categories, and not in the name of a segment."""
        source = shop()
        source.profiles["c"] = profile(segments=segments, categories=["shoes"])
        assert told(ask(source, limit=3)) == [("s9", "category"), ("c1", "category"), ("n0", "category")]

    def test_nothing_but_what_trends(self) -> None:
        """And at last the list of the settings."""
        source = quiet()
        source.profiles["c"] = profile(viewed=[("alone", MINUTE_MS)])
        assert ask(source, limit=2).level == "trending"
        source.scopes.clear()
        assert ask(source, settings={"static": ("z",)}, limit=2).level == "static"


class TestSessionOnly:
    def test_the_profile_knows_of_other_things(self) -> None:
        """What gave the items is the view that the caller sent."""
        source = quiet()
        answer = ask(source, viewed=("h5",), limit=2)
        assert (answer.level, told(answer)) == ("session", [("h6", "session"), ("h7", "session")])

    @pytest.mark.parametrize("asked", [{"product_id": "h5"}, {"cart": ("h5",)}, {"viewed": ("h5",)}])
    def test_whatever_the_caller_sends(self, asked: dict[str, object]) -> None:
        """The item being looked at, the cart, the views."""
        assert ask(quiet(), limit=1, **asked).level == "session"
        assert ask(quiet(), limit=1, strategy="seed", **asked).level == "session"

    @pytest.mark.parametrize("strategy", ["personal", "seed"])
    def test_what_the_profile_knows_too_is_personal(self, strategy: str) -> None:
        """Though the caller sends it again."""
        source = quiet()
        source.profiles["c"] = profile(viewed=[("h5", MINUTE_MS)])
        assert ask(source, viewed=("h5",), limit=1, strategy=strategy).level == "personal"

    def test_one_personal_voice_is_enough(self) -> None:
        """Of any item that is shown."""
        source = quiet()
        source.profiles["c"] = profile(bought=[("s4", DAY_MS)])
        assert ask(source, viewed=("h5",), limit=2).level == "session"
        assert ask(source, viewed=("h5",), limit=3).level == "personal"

    def test_a_place_to_return_to(self) -> None:
        """Is a voice as others are."""
        source = quiet()
        assert ask(source, settings={"viewed_again": True}, limit=1).level == "personal"
        answer = ask(source, settings={"viewed_again": True}, product_id="none", viewed=("lone",), limit=1)
        assert (names(answer), answer.level) == (["lone"], "session")


class TestWhatIsPopularBesideAPersonalVoice:
    def test_is_of_one_level_with_it(self) -> None:
        """They are scored and ordered together; the reasons tell them apart."""
        source = shop()
        source.profiles["c"] = profile(viewed=[("s1", MINUTE_MS)], segments=["vip"])
        answer = ask(source, limit=4)
        assert told(answer) == [(item_id, "personal") for item_id in ("s2", "s3", "v0", "v1")]
        assert [item.reasons[0].kind for item in answer.items] == ["viewed", "viewed", "segment", "segment"]

    def test_unless_nothing_personal_is_shown(self) -> None:
        """One place, and something new before all that goes with an old view: that is its category."""
        source = shop()
        source.profiles["c"] = profile(viewed=[("h5", 20 * DAY_MS)], categories=["shoes"])
        assert told(ask(source, limit=1)) == [("n0", "category")]
        assert ask(source, limit=2).level == "personal"

    def test_levels_stay_in_order(self) -> None:
        """However many are asked for."""
        source = shop()
        source.profiles["c"] = profile(viewed=[("h5", 20 * DAY_MS)], categories=["shoes"], segments=["vip"])
        for limit in range(1, 30):
            found = [level for _, level in told(ask(source, limit=limit))]
            assert found == sorted(found, key=LEVELS.index)
