"""Conditions of the segment language, asked of one profile."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.checked_toml import CheckedToml
from serving.conditions import AnySegment, condition_set
from state.rules import tree
from state.rules.errors import RuleError

DAY_MS = 86_400_000
NOW_MS = 1_772_445_600_000


def condition(text: str) -> tree.Condition:
    toml = CheckedToml(f"[content.x]\nwhen = '''{text}'''", "t.toml")
    found = toml.condition(("content", "x"), toml.content["content"]["x"], "when", AnySegment())
    toml.finish()
    assert found is not None
    return found


def holds(text: str, profile: dict[str, object] | None, now_ms: int = NOW_MS) -> bool:
    return condition_set([condition(text)]).holding(profile, now_ms) == 1


PROFILE: dict[str, object] = {
    "as_of_ms": NOW_MS - DAY_MS,
    "features": {"recency_ms": 29 * DAY_MS, "orders_30d": 2, "engagement": 8.0, "device": "mobile",
                 "top_categories": ["shoes"], "cart_open": True},
    "segments": {"high-value": 5},
    "cluster": {"id": 1, "name": "bargain hunters"},
    "scores": {"buys_7d": 0.25},
}  # fmt: skip


class TestHolding:
    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ('segment("high-value")', True),
            ('segment("vip")', False),
            ('segment("high-value") and recency_ms <= days(30)', True),
            ("orders_30d == 2 and cart_open", True),
            ("views_30d == 0", True),
            ("average_order_cents > 0 or average_order_cents <= 0", False),
            ("absent(average_order_cents)", True),
            ('device in ("mobile", "tablet")', True),
            ('"shoes" in top_categories', True),
            ('"hats" in top_categories', False),
            ('cluster("bargain hunters")', True),
            ('cluster("others")', False),
            ("buys_7d > 0.2", True),
            ("lapses_30d > 0 or lapses_30d <= 0", False),
        ],
    )
    def test_what_a_profile_answers(self, text: str, expected: bool) -> None:
        """As the rules would: what is absent makes a comparison false, counts that are not there are 0."""
        assert holds(text, PROFILE) == expected

    def test_time_has_gone_on_since(self) -> None:
        """Ages grow and engagement halves in seven days, as of the moment of asking."""
        assert holds("recency_ms <= days(30)", PROFILE, NOW_MS)
        assert not holds("recency_ms <= days(30)", PROFILE, NOW_MS + 1)
        assert holds("engagement >= 4.0", PROFILE, NOW_MS + 6 * DAY_MS)
        assert not holds("engagement >= 4.0", PROFILE, NOW_MS + 6 * DAY_MS + 1)

    def test_strangers(self) -> None:
        """Of whom nothing is known are like those without events."""
        assert holds("orders_total == 0 and absent(recency_ms) and not cart_open", None)
        assert not holds('segment("high-value") or cluster("x") or buys_7d > 0 or "x" in top_categories', None)

    @given(
        st.dictionaries(
            st.sampled_from(["recency_ms", "orders_30d", "cart_open", "device", "top_categories"]),
            st.none() | st.text() | st.booleans() | st.integers() | st.lists(st.integers()),
        )
    )
    def test_odd_values_are_absent(self, features: dict[str, object]) -> None:
        """A profile written by something else raises nothing."""
        text = 'recency_ms < days(3) or orders_30d > 5 or cart_open or device == "x" or "y" in top_categories'
        assert holds(text, {"features": features}) in (True, False)

    def test_several_at_once(self) -> None:
        """A bit each, whatever segments they name."""
        texts = ['segment("vip")', "True", 'segment("high-value")', "False"]
        assert condition_set([condition(text) for text in texts]).holding(PROFILE, NOW_MS) == 0b0110


class TestRefused:
    @pytest.mark.parametrize("text", ["percentile(engagement, 80) > 1", "quartile(engagement) == 4", "rfm_recency > 3"])
    def test_what_no_profile_answers(self, text: str) -> None:
        """Questions about all customers, with what to do instead."""
        with pytest.raises(RuleError, match="make it a segment"):
            condition(text)
