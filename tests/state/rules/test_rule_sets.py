"""What a rule set says of itself: reads, waiting segments, atoms, versions; and the rules that are shipped."""

import pickle
from math import inf, nextafter

import pytest

from state.rules.atoms import Atom
from state.rules.features import FEATURES, METRICS, WINDOW_DAYS, window_feature
from state.rules.ruleset import RuleSet, load_rules, parse_rules

DAY_MS = 86_400_000
EMPTY = {"int": 0, "float": 0.0, "bool": False, "list[str]": (), "str": None}


def rules_of(**conditions: str) -> RuleSet:
    """Rules with a segment for each condition."""
    return parse_rules("".join(f"[segments.{n}]\ndescription='d'\nwhen='''{c}'''\n" for n, c in conditions.items()))


def atoms_of(condition: str) -> list[tuple]:
    """The atoms of a condition."""
    return [tuple(atom) for atom in rules_of(s=condition).atoms]


class TestFeatures:
    """The registry."""

    def test_windows_come_first_in_their_fixed_order(self) -> None:
        """Metric by metric, window by window; states are laid out by this."""
        names = [window_feature(metric, days) for metric in METRICS for days in WINDOW_DAYS]
        assert list(FEATURES)[:40] == names
        assert names[:2] == ["views_1d", "views_7d"]
        assert "revenue_30d_cents" in names
        assert "session_ms_90d" in names

    def test_drift_follows_from_what_is_counted(self) -> None:
        """Counts fall, sums change by amounts, ages grow."""
        assert {FEATURES[f"{metric}_7d"].drift for metric in ("views", "orders", "sessions")} == {"count"}
        assert {FEATURES[name].drift for name in ("revenue_7d_cents", "session_ms_7d")} == {"sum"}
        assert {spec.name for spec in FEATURES.values() if spec.drift == "age"} == {
            "recency_ms",
            "since_last_seen_ms",
            "since_first_seen_ms",
        }
        spec = FEATURES["revenue_14d_cents"]
        assert (spec.metric, spec.window_days, spec.unit, spec.type) == ("revenue", 14, "cents", "int")

    def test_no_window_feature_is_ever_absent(self) -> None:
        """The compiler leaves out the test for them."""
        assert not any(spec.optional for spec in FEATURES.values() if spec.metric)


class TestAtoms:
    """What time can flip."""

    @pytest.mark.parametrize(
        ("condition", "atoms"),
        [
            ("orders_30d > 5", [("orders_30d", 6)]),
            ("5 < orders_30d", [("orders_30d", 6)]),
            ("orders_30d >= 5", [("orders_30d", 5)]),
            ("orders_30d > 4.5", [("orders_30d", 5)]),
            ("orders_30d >= 4.5", [("orders_30d", 5)]),
            ("orders_30d == 5", [("orders_30d", 5), ("orders_30d", 6)]),
            ("orders_30d != 0", [("orders_30d", 1)]),
            ("orders_30d == 4.5", []),
            ("orders_30d >= 0", []),
            ("orders_30d in (1, 3)", [("orders_30d", n) for n in (1, 2, 3, 4)]),
            ("1 < orders_30d <= 3 or orders_30d > 3", [("orders_30d", 2), ("orders_30d", 4)]),
            ("revenue_7d_cents >= 0", [("revenue_7d_cents", 0)]),
            ("recency_ms <= days(30)", [("recency_ms", 30 * DAY_MS + 1)]),
            ("recency_ms < days(30)", [("recency_ms", 30 * DAY_MS)]),
            ("not recency_ms >= 0", []),
            ("engagement >= 2", [("engagement", 2.0)]),
            ("engagement > 2", [("engagement", nextafter(2.0, inf))]),
            ("engagement <= 2", [("engagement", nextafter(2.0, inf))]),
            ("orders_7d * 4 > orders_30d", [("orders_30d", None), ("orders_7d", None)]),
            ("orders_7d * 4 > orders_30d and orders_7d > 3", [("orders_30d", None), ("orders_7d", None)]),
            ("max(views_7d, orders_total) in (1, 2)", [("views_7d", None)]),
            ("views_7d > orders_total", [("views_7d", None)]),
            ("present(cart_abandoned_at_ms)", [("cart_abandoned_at_ms", None)]),
            ("cart_abandoned_at_ms > 5 or cart_abandoned_at_ms - last_seen_ms > 5", [("cart_abandoned_at_ms", None)]),
            ("absent(orders_7d) or present(recency_ms)", []),
            ("orders_total > 5 and device == 'tv' and 'a' in top_categories and cart_open", []),
        ],
    )
    def test_of_a_condition(self, condition: str, atoms: list[tuple]) -> None:
        """Whole thresholds for whole numbers, exact floats for decayed scores, None for what is compound."""
        assert atoms_of(condition) == atoms

    def test_waiting_segments_wake_nobody(self) -> None:
        """They are not run here."""
        assert rules_of(a="orders_30d > 5 and quartile(engagement) == 4", b="orders_7d > 1").atoms == (
            Atom("orders_7d", 2),
        )


class TestWaiting:
    """Rules that ask about the population."""

    @pytest.mark.parametrize(
        "condition",
        [
            "revenue_total_cents > percentile(revenue_total_cents, 80)",
            "engagement >= percentile('engagement', 75)",
            "quartile(engagement) == 4",
            "cluster('bargain hunters')",
            "rfm_recency >= 4 and rfm_frequency + rfm_monetary > 7",
            "buys_7d >= 0.3 or lapses_30d > 0.5 and orders_7d > 1",
        ],
    )
    def test_they_are_checked_and_wait(self, condition: str) -> None:
        """With everything that refers to them, however far away."""
        rules = rules_of(c="segment('b') or orders_7d > 1", b="not segment('a')", a=condition, d="orders_7d > 2")
        assert rules.names == ("d",)
        assert rules.reads == ("orders_7d",)
        assert [name for name, _ in rules.waiting] == ["c", "b", "a"]
        assert {reason for _, reason in rules.waiting} == {"waiting for the population"}
        assert [segment.name for segment in rules.segments] == ["c", "b", "a", "d"]
        assert rules.step((3,), 0, -1) == 1

    def test_a_file_of_waiting_rules_only(self) -> None:
        """Nothing to read, nobody a member."""
        rules = rules_of(a="quartile(engagement) == 4")
        assert (rules.names, rules.reads, rules.step((), 0, -1)) == ((), (), 0)


class TestVersion:
    """The label that every change carries."""

    BASE = '[segments.a]\ndescription="d"\nwhen="orders_7d > 1"\n[segments.b]\ndescription="d"\nwhen="True"\n'

    @pytest.mark.parametrize(
        ("before", "after"),
        [
            ("orders_7d > 1", "(orders_7d)>1 # often"),
            ('"orders_7d > 1"', "'''\n  orders_7d >\n  1'''"),
            ("[segments.a]", "# a comment\n\n[ segments . 'a' ]"),
            ('when="True"', 'when="True"\nminimum_stay="0s"'),
            ("\n", "\r\n"),
        ],
    )
    def test_is_the_same_for_the_same_content(self, before: str, after: str) -> None:
        """Comments, spacing, needless brackets."""
        changed = self.BASE.replace(before, after)
        assert changed != self.BASE
        assert parse_rules(changed).version == parse_rules(self.BASE).version

    def test_does_not_depend_on_the_order_of_the_file(self) -> None:
        """Bits do; memberships are packed by name."""
        first, second = self.BASE.split("[segments.b]")
        assert parse_rules(f"[segments.b]{second}{first}").version == parse_rules(self.BASE).version

    @pytest.mark.parametrize(
        ("before", "after"),
        [
            ("> 1", "> 2"),
            ('when="orders_7d', 'enter="orders_7d'),
            ("segments.a", "segments.c"),
            ('"d"', '"e"'),
            ('when="True"', 'when="True"\nminimum_stay="1s"'),
            ("[segments.a]", 'name = "x"\n[segments.a]'),
        ],
    )
    def test_is_another_for_other_content(self, before: str, after: str) -> None:
        """Conditions, names, descriptions, stays. `enter` alone means the same as `when`."""
        same = before == 'when="orders_7d'
        changed = parse_rules(self.BASE.replace(before, after)).version
        assert (changed == parse_rules(self.BASE).version) is same

    def test_is_twelve_hex_digits(self) -> None:
        """Short enough to read out."""
        assert len(load_rules().version) == 12
        assert int(load_rules().version, 16)

    def test_survives_pickling(self) -> None:
        """A rule set travels as its text and is compiled anew."""
        rules = load_rules()
        again = pickle.loads(pickle.dumps(rules))  # noqa: S301 - our own
        assert (again.version, again.names, again.reads, again.source) == (
            rules.version,
            rules.names,
            rules.reads,
            rules.source,
        )


class TestDefaultRules:
    """The segments that are shipped."""

    RULES = load_rules()

    def members(self, before: tuple[str, ...] = (), **values: object) -> set[str]:
        """Who one is with these feature values, after having been in some segments."""
        rules = self.RULES
        unknown = set(values) - set(rules.reads)
        assert not unknown, unknown
        row = tuple(
            values.get(name, None if FEATURES[name].optional else EMPTY[FEATURES[name].type]) for name in rules.reads
        )
        mask = sum(1 << rules.bit_of[name] for name in before)
        return set(rules.names_in(rules.step(row, mask, -1)))

    def test_all_segments_are_there(self) -> None:
        """In the order of the design; three wait for the population."""
        assert [segment.name for segment in self.RULES.segments] == [
            "frequent-buyers",
            "regulars",
            "weekly-buyers",
            "browsers",
            "recently-engaged",
            "high-intent",
            "low-engagement",
            "cart-abandoners",
            "window-shoppers",
            "high-value",
            "vip",
            "lapsing",
            "new-customers",
        ]
        assert [name for name, _ in self.RULES.waiting] == ["high-intent", "high-value", "vip"]
        assert all(segment.description.endswith(".") for segment in self.RULES.segments)

    def test_buyers(self) -> None:
        """More than five, more than three in 30 days; more than one, and any, in 7 days."""
        assert [sorted(self.members(orders_30d=n)) for n in (3, 4, 6)] == [
            [],
            ["regulars"],
            ["frequent-buyers", "regulars"],
        ]
        assert self.members(orders_7d=1) == {"recently-engaged"}
        assert self.members(orders_7d=2) == {"recently-engaged", "weekly-buyers"}

    def test_browsers(self) -> None:
        """Three views and no order in 14 days."""
        assert self.members(views_14d=3) == {"browsers"}
        assert self.members(views_14d=3, orders_14d=1) == set()
        assert self.members(views_14d=2) == set()

    def test_window_shoppers_stay_until_half_of_their_views_are_gone(self) -> None:
        """Ten views to enter, fewer than five to leave; anything in the cart ends it."""
        assert self.members(views_30d=9) == set()
        assert self.members(views_30d=10) == {"window-shoppers"}
        assert self.members(("window-shoppers",), views_30d=5) == {"window-shoppers"}
        assert self.members(("window-shoppers",), views_30d=4) == set()
        assert self.members(("window-shoppers",), views_30d=20, cart_adds_30d=1) == set()

    def test_low_engagement(self) -> None:
        """Below one to enter, two to leave; nobody in their first week."""
        week = {"since_first_seen_ms": 7 * DAY_MS}
        assert self.members(engagement=0.99, since_first_seen_ms=7 * DAY_MS - 1) == set()
        assert self.members(engagement=0.99, **week) == {"low-engagement"}
        assert self.members(("low-engagement",), engagement=1.99, **week) == {"low-engagement"}
        assert self.members(("low-engagement",), engagement=2.0, **week) == set()
        assert self.RULES.min_stay_ms[self.RULES.bit_of["low-engagement"]] == DAY_MS

    def test_cart_abandoners(self) -> None:
        """From the abandoned cart on, also while back in the shop, until it is empty or a month went by."""
        cart = {"cart_open": True, "since_last_seen_ms": 1_800_000}
        assert self.members(**cart) == set()
        assert self.members(**cart, cart_abandoned_at_ms=5) == {"cart-abandoners"}
        assert self.members(("cart-abandoners",), **cart) == {"cart-abandoners"}
        assert self.members(("cart-abandoners",)) == set()
        old = {"cart_open": True, "cart_abandoned_at_ms": 5, "since_last_seen_ms": 30 * DAY_MS + 1}
        assert self.members(("cart-abandoners",), **old) == set()

    def test_lapsing_and_new_customers(self) -> None:
        """By the number of orders and the age of the newest."""
        assert self.members(orders_total=1, recency_ms=30 * DAY_MS) == {"new-customers"}
        assert self.members(orders_total=1, recency_ms=30 * DAY_MS + 1) == set()
        assert self.members(orders_total=2, recency_ms=30 * DAY_MS) == set()
        recencies_ms = (60 * DAY_MS, 60 * DAY_MS + 1, 180 * DAY_MS, 180 * DAY_MS + 1)
        found = [self.members(orders_total=2, recency_ms=recency_ms) for recency_ms in recencies_ms]
        assert found == [set(), {"lapsing"}, {"lapsing"}, set()]
