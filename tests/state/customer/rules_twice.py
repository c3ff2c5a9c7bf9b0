"""Rules written twice: in the rule language, and as plain predicates for the naive oracle."""

from collections.abc import Callable
from typing import Any

from oracle.memberships import Rule
from oracle.plain import DAY

from state.rules.ruleset import RuleSet, load_rules, parse_rules

Features = dict[str, Any]
HOUR = 3_600_000

RULES_TEXT = """
[segments.viewers]
when = "views_7d >= 3"
[segments.exactly-two]
when = "views_1d == 2"
[segments.adders]
when = "cart_adds_14d > 1"
[segments.spenders]
when = "revenue_30d_cents >= 2000"
[segments.owed]
when = "revenue_7d_cents < 0"
[segments.long-visits]
when = "session_ms_7d >= hours(1)"
[segments.regular-visits]
when = "sessions_14d > 2"
[segments.recent]
when = "recency_ms <= days(10)"
[segments.quiet]
when = "since_last_seen_ms > days(3)"
[segments.warm]
enter = "engagement >= 6"
leave = "engagement < 2.5"
[segments.cool]
when = "engagement <= 1"
[segments.abandoners]
when = "present(cart_abandoned_at_ms)"
[segments.sticky]
when = "orders_7d >= 1"
minimum_stay = "10d"
[segments.held]
enter = "views_1d >= 1"
leave = "views_1d == 0"
minimum_stay = "30h"
[segments.recent-viewers]
when = 'segment("recent") and segment("viewers")'
[segments.not-held]
when = 'not segment("held") and views_30d > 0'
[segments.burst]
when = "orders_7d * 4 > orders_30d"
[segments.lookers]
when = "views_14d - 2 * orders_14d >= 2"
[segments.settled]
when = "orders_total >= 2 and purchase_interval_ms > days(1)"
[segments.weekly-score]
enter = "engagement > 3 and cart_open"
leave = "not cart_open"
minimum_stay = "1d"
[segments.alive]
when = "engagement > 0"
[segments.cooling]
enter = "engagement < 2 and since_first_seen_ms >= days(2) and views_7d < 3"
leave = "engagement >= 4 or searches_1d > 0"
[segments.gone]
when = "not (views_14d >= 2 or since_last_seen_ms <= days(4)) and orders_total >= 1"
[segments.between]
when = "views_30d >= 2 and days(1) < since_last_seen_ms <= days(6) and not recency_ms > days(20)"
"""


def described(text: str) -> str:
    return text.replace("]\n", ']\ndescription = "For tests."\n')


TEST_RULES = parse_rules(described(RULES_TEXT))


def _known(value: Any, test: Callable[[Any], bool]) -> bool:
    """A comparison with an absent value is false."""
    return value is not None and test(value)


TEST_PREDICATES = [
    Rule("viewers", lambda f: f["views_7d"] >= 3),
    Rule("exactly-two", lambda f: f["views_1d"] == 2),
    Rule("adders", lambda f: f["cart_adds_14d"] > 1),
    Rule("spenders", lambda f: f["revenue_30d_cents"] >= 2000),
    Rule("owed", lambda f: f["revenue_7d_cents"] < 0),
    Rule("long-visits", lambda f: f["session_ms_7d"] >= HOUR),
    Rule("regular-visits", lambda f: f["sessions_14d"] > 2),
    Rule("recent", lambda f: _known(f["recency_ms"], lambda age: age <= 10 * DAY), ages_ms=[10 * DAY]),
    Rule("quiet", lambda f: f["since_last_seen_ms"] > 3 * DAY, ages_ms=[3 * DAY]),
    Rule("warm", lambda f: f["engagement"] >= 6, lambda f: f["engagement"] < 2.5, engagements=[6, 2.5]),
    Rule("cool", lambda f: f["engagement"] <= 1, engagements=[1]),
    Rule("abandoners", lambda f: f["cart_abandoned_at_ms"] is not None),
    Rule("sticky", lambda f: f["orders_7d"] >= 1, minimum_stay_ms=10 * DAY),
    Rule("held", lambda f: f["views_1d"] >= 1, lambda f: f["views_1d"] == 0, minimum_stay_ms=30 * HOUR),
    Rule("recent-viewers", lambda f: {"recent", "viewers"} <= f["segments"]),
    Rule("not-held", lambda f: "held" not in f["segments"] and f["views_30d"] > 0),
    Rule("burst", lambda f: f["orders_7d"] * 4 > f["orders_30d"]),
    Rule("lookers", lambda f: f["views_14d"] - 2 * f["orders_14d"] >= 2),
    Rule("settled", lambda f: f["orders_total"] >= 2 and _known(f["purchase_interval_ms"], lambda age: age > DAY)),
    Rule(
        "weekly-score",
        lambda f: f["engagement"] > 3 and f["cart_open"],
        lambda f: not f["cart_open"],
        minimum_stay_ms=DAY,
        engagements=[3],
    ),
    Rule("alive", lambda f: f["engagement"] > 0, engagements=[5e-324]),
    Rule(
        "cooling",
        lambda f: f["engagement"] < 2 and f["since_first_seen_ms"] >= 2 * DAY and f["views_7d"] < 3,
        lambda f: f["engagement"] >= 4 or f["searches_1d"] > 0,
        ages_ms=[2 * DAY],
        engagements=[2, 4],
    ),
    Rule(
        "gone",
        lambda f: not (f["views_14d"] >= 2 or f["since_last_seen_ms"] <= 4 * DAY) and f["orders_total"] >= 1,
        ages_ms=[4 * DAY],
    ),
    Rule(
        "between",
        lambda f: (
            f["views_30d"] >= 2
            and DAY < f["since_last_seen_ms"] <= 6 * DAY
            and not _known(f["recency_ms"], lambda age: age > 20 * DAY)
        ),
        ages_ms=[DAY, 6 * DAY, 20 * DAY],
    ),
]

DEFAULT_PREDICATES = [
    Rule("frequent-buyers", lambda f: f["orders_30d"] > 5),
    Rule("regulars", lambda f: f["orders_30d"] > 3),
    Rule("weekly-buyers", lambda f: f["orders_7d"] > 1),
    Rule("browsers", lambda f: f["views_14d"] >= 3 and f["orders_14d"] == 0),
    Rule("recently-engaged", lambda f: f["orders_7d"] >= 1),
    Rule(
        "low-engagement",
        lambda f: f["engagement"] < 1 and f["since_first_seen_ms"] >= 7 * DAY,
        lambda f: f["engagement"] >= 2,
        minimum_stay_ms=DAY,
        ages_ms=[7 * DAY],
        engagements=[1, 2],
    ),
    Rule(
        "cart-abandoners",
        lambda f: f["cart_abandoned_at_ms"] is not None,
        lambda f: not f["cart_open"] or f["since_last_seen_ms"] > 30 * DAY,
        ages_ms=[30 * DAY],
    ),
    Rule(
        "window-shoppers",
        lambda f: f["views_30d"] >= 10 and f["cart_adds_30d"] == 0 and f["orders_30d"] == 0,
        lambda f: f["views_30d"] < 5 or f["cart_adds_30d"] > 0 or f["orders_30d"] > 0,
    ),
    Rule(
        "lapsing",
        lambda f: f["orders_total"] >= 2 and _known(f["recency_ms"], lambda age: 60 * DAY < age <= 180 * DAY),
        ages_ms=[60 * DAY, 180 * DAY],
    ),
    Rule(
        "new-customers",
        lambda f: f["orders_total"] == 1 and _known(f["recency_ms"], lambda age: age <= 30 * DAY),
        ages_ms=[30 * DAY],
    ),
]

OTHER_TEXT = """
[segments.not-held]
when = 'not segment("held") and views_7d > 0'
[segments.held]
enter = "views_1d >= 1"
leave = "views_1d == 0"
minimum_stay = "2h"
[segments.searchers]
when = "searches_7d >= 1"
[segments.viewers]
when = "views_7d >= 2"
[segments.spenders]
when = "revenue_30d_cents >= 500"
[segments.owed]
when = "revenue_7d_cents < 0"
[segments.recent]
when = "recency_ms <= days(2)"
[segments.warm]
enter = "engagement >= 4"
leave = "engagement < 1.5"
[segments.sticky]
when = "orders_7d >= 1"
minimum_stay = "20d"
[segments.quick]
when = "cart_adds_1d == 1"
minimum_stay = "3h"
[segments.recent-viewers]
when = 'segment("recent") or segment("viewers")'
"""

OTHER_PREDICATES = [
    Rule("held", lambda f: f["views_1d"] >= 1, lambda f: f["views_1d"] == 0, minimum_stay_ms=2 * HOUR),
    Rule("not-held", lambda f: "held" not in f["segments"] and f["views_7d"] > 0),
    Rule("searchers", lambda f: f["searches_7d"] >= 1),
    Rule("viewers", lambda f: f["views_7d"] >= 2),
    Rule("spenders", lambda f: f["revenue_30d_cents"] >= 500),
    Rule("owed", lambda f: f["revenue_7d_cents"] < 0),
    Rule("recent", lambda f: _known(f["recency_ms"], lambda age: age <= 2 * DAY), ages_ms=[2 * DAY]),
    Rule("warm", lambda f: f["engagement"] >= 4, lambda f: f["engagement"] < 1.5, engagements=[4, 1.5]),
    Rule("sticky", lambda f: f["orders_7d"] >= 1, minimum_stay_ms=20 * DAY),
    Rule("quick", lambda f: f["cart_adds_1d"] == 1, minimum_stay_ms=3 * HOUR),
    Rule("recent-viewers", lambda f: bool({"recent", "viewers"} & f["segments"])),
]

BOTH: dict[str, tuple[RuleSet, list[Rule]]] = {
    "test": (TEST_RULES, TEST_PREDICATES),
    "default": (load_rules(), DEFAULT_PREDICATES),
}

ALL = {**BOTH, "other": (parse_rules(described(OTHER_TEXT)), OTHER_PREDICATES)}
"""With rules that share some segments with "test" and some with "default", and mean other things by some."""
