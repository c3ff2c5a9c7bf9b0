"""Which level serves whom, level by level, and what happens when parts cannot be read."""

import pytest

from serving.ranking.request import LEVELS
from tests.serving.ranking.shops import MINUTE_MS, BrokenSource, ask, names, profile, shop


def levels(answer: object) -> list[str]:
    return [item.level for item in answer.items]  # type: ignore[attr-defined]


class TestLevels:
    def test_personal(self) -> None:
        """Who has a history."""
        source = shop()
        source.profiles["c"] = profile(viewed=[("s1", MINUTE_MS)])
        assert ask(source, limit=2).level == "personal"

    def test_session_only(self) -> None:
        """Who is unknown, but has viewed something just now."""
        assert ask(shop(), viewed=("s1",), limit=2).level == "session"

    def test_segment(self) -> None:
        """Who is in one, and has viewed nothing that we know of; the segment entered last counts most."""
        source = shop()
        source.scopes["segment:new"] = [("v1", 3.0)]
        source.profiles["c"] = profile(segments=["vip", "new"])
        answer = ask(source, limit=2, strategy="session")
        assert (answer.level, names(answer)) == ("segment", ["v1", "v0"])
        assert answer.items[0].reasons[0].text == "popular with customers like you (new)"

    def test_category(self) -> None:
        """Who likes one; new items of it are among them."""
        source = shop()
        source.profiles["c"] = profile(categories=["shoes"])
        answer = ask(source, limit=3, strategy="session")
        assert (answer.level, names(answer)) == ("category", ["s9", "c1", "n0"])

    def test_category_of_what_is_looked_at(self) -> None:
        """Of an item without a list of its own, by the catalog."""
        source = shop()
        source.lists.clear()
        answer = ask(source, product_id="s1", limit=2)
        assert (answer.level, names(answer)) == ("category", ["s9", "c1"])

    def test_trending(self) -> None:
        """Who is unknown."""
        assert ask(shop(), limit=2).level == "trending"

    def test_static(self) -> None:
        """When nothing is known at all, in the order of the settings."""
        answer = ask(BrokenSource(), settings={"static": ("z", "a", "m")}, limit=2)
        assert (answer.level, names(answer), levels(answer)) == ("static", ["z", "a"], ["static"] * 2)
        assert not answer.degraded

    def test_nothing(self) -> None:
        """An answer without items is an answer."""
        answer = ask(BrokenSource())
        assert (answer.items, answer.level, answer.degraded) == ((), "static", False)


class TestFillingUp:
    def test_from_level_to_level(self) -> None:
        """Each in its place, none left out that has something to say."""
        source = shop()
        source.profiles["c"] = profile(viewed=[("s1", MINUTE_MS)], segments=["vip"], categories=["shoes"])
        answer = ask(source, settings={"static": ("z",), "category_share": 1.0}, limit=30)
        found = list(dict.fromkeys(levels(answer)))
        assert found == ["personal", "category", "trending", "static"]  # the vip items have come with `personal`
        assert levels(answer) == sorted(levels(answer), key=LEVELS.index)
        assert names(answer)[-1] == "z"
        assert len(set(names(answer))) == len(names(answer))

    def test_only_when_it_is_needed(self) -> None:
        """Nobody asks for what is trending when the session gives enough."""
        source = shop()
        ask(source, viewed=("s1", "h5"), strategy="session", limit=3)
        assert not [what for part, what in source.asked if part == "popular"]


class TestFailing:
    @pytest.mark.parametrize("how", ["broken", "slow"])
    @pytest.mark.parametrize(
        ("part", "level"),
        [("profile", "session"), ("similar", "segment"), ("popular", "personal"), ("items", "personal")],
    )
    def test_one_part(self, how: str, part: str, level: str) -> None:
        """The answer comes from the rest, and says what failed."""
        source = shop()
        source.profiles["c"] = profile(viewed=[("s1", MINUTE_MS)], segments=["vip"])
        getattr(source, how).add(part)
        strategy = "session" if part == "similar" else "personal"
        answer = ask(source, settings={"part_timeout_ms": 5}, viewed=("s1",), strategy=strategy, limit=2)
        assert (answer.level, answer.degraded, answer.failed) == (level, True, (part,))
        assert len(answer.items) == 2

    def test_everything(self) -> None:
        """Then the static list is there."""
        source = shop()
        source.broken = {"profile", "similar", "popular", "items"}
        answer = ask(source, settings={"static": ("z",)}, viewed=("s1",))
        assert (names(answer), answer.degraded) == (["z"], True)
        assert set(answer.failed) == source.broken

    def test_what_is_left_out_without_a_catalog(self) -> None:
        """What the request itself excludes stays out, whatever fails."""
        source = shop()
        source.broken = {"items"}
        assert not {"s2", "t0"} & set(names(ask(source, viewed=("s1",), exclude=("s2", "t0"), limit=10)))
