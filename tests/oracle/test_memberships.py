"""The naive membership oracle, on cases worked out by hand."""

from random import Random
from typing import Any

import pytest

from .builders import DAY, HOUR, MINUTE, T0, add, line, order, refund, view
from .changes import effective_changes, replay_into_map
from .events import parse_events
from .memberships import Change, Rule, as_records, members_at, true_changes
from .plain import features_at, history_of
from .streams import odd_stream

FAR = T0 + 1_000 * DAY


def changes(lines: list[bytes], *rules: Rule, as_of_ms: int = FAR) -> list[tuple[str, str, int, int]]:
    """(segment, change, at, since) relative to T0."""
    found = true_changes(parse_events(lines), rules, as_of_ms)
    return [(c.segment, c.change, c.at_ms - T0, c.since_ms - T0) for c in found]


def at_least(name: str, least: float) -> Any:
    return lambda features: features[name] is not None and features[name] >= least


class TestTime:
    def test_a_customer_leaves_when_a_view_leaves_the_window(self) -> None:
        """Views at 0, 1 h, 2 h; three of them in a day are a browser: from 2 h on, until the first is a day old."""
        browser = Rule("browser", at_least("views_1d", 3))
        lines = [view(0), view(HOUR), view(2 * HOUR)]
        assert changes(lines, browser) == [
            ("browser", "entered", 2 * HOUR, 2 * HOUR),
            ("browser", "left", DAY, 2 * HOUR),
        ]
        assert changes(lines, browser, as_of_ms=T0 + DAY - 1) == [("browser", "entered", 2 * HOUR, 2 * HOUR)]
        assert members_at(parse_events(lines), [browser], T0 + DAY - 1) == {"browser": T0 + 2 * HOUR}

    def test_events_of_one_millisecond_count_together(self) -> None:
        """Two views at once: exactly one view was never true."""
        assert changes([view(0), view(0)], Rule("one", lambda f: f["views_90d"] == 1)) == []

    def test_a_window_can_hand_over_in_one_millisecond(self) -> None:
        """As the view at 0 leaves the window, another arrives: nothing changes until a day after that one."""
        found = changes([view(0), view(DAY)], Rule("seen", at_least("views_1d", 1)))
        assert found == [("seen", "entered", 0, 0), ("seen", "left", 2 * DAY, 0)]

    def test_carts_are_abandoned(self) -> None:
        """Half an hour after the last event; the next event ends it."""
        rule = Rule("abandoner", lambda f: f["cart_abandoned_at_ms"] is not None)
        assert changes([add(0), view(HOUR), order(HOUR + 1, "o", ("p1", 1, 1))], rule) == [
            ("abandoner", "entered", 30 * MINUTE, 30 * MINUTE),
            ("abandoner", "left", HOUR, 30 * MINUTE),
        ]

    def test_ages(self) -> None:
        """Recency of at most 10 days: from the order until one millisecond after 10 days."""
        rule = Rule("recent", lambda f: f["recency_ms"] is not None and f["recency_ms"] <= 10 * DAY, ages_ms=[10 * DAY])
        assert changes([order(5, "o", total=1)], rule) == [
            ("recent", "entered", 5, 5),
            ("recent", "left", 5 + 10 * DAY + 1, 5),
        ]

    def test_engagement_falls_below_a_limit(self) -> None:
        """An addition is 3; it is 1.5 after exactly a week, which is still enough, and less a millisecond later."""
        rule = Rule("engaged", at_least("engagement", 1.5), engagements=[1.5])
        assert changes([add(0)], rule) == [("engaged", "entered", 0, 0), ("engaged", "left", 7 * DAY + 1, 0)]


class TestRules:
    def test_a_minimum_stay(self) -> None:
        """In for three days at least: the view leaves the window after one, the customer after three."""
        rule = Rule("seen", at_least("views_1d", 1), minimum_stay_ms=3 * DAY)
        assert changes([view(0)], rule) == [("seen", "entered", 0, 0), ("seen", "left", 3 * DAY, 0)]
        # at the end of the stay the view of day 2.5 keeps the customer in, for a day
        assert changes([view(0), view(5 * DAY // 2)], rule)[1] == ("seen", "left", 7 * DAY // 2, 0)

    def test_leaving_has_a_condition_of_its_own(self) -> None:
        """In with 3 views, out with none: views at 0, 0, 0 and 12 h: out a day after the last."""
        rule = Rule("fan", at_least("views_1d", 3), leave=lambda f: f["views_1d"] == 0)
        lines = [view(0), view(0), view(0), view(12 * HOUR)]
        assert changes(lines, rule) == [("fan", "entered", 0, 0), ("fan", "left", 36 * HOUR, 0)]

    def test_leaving_wins(self) -> None:
        """Both true: nobody enters."""
        assert changes([view(0)], Rule("odd", lambda _: True, leave=lambda _: True)) == []

    def test_segments_of_segments(self) -> None:
        """They follow in the same millisecond."""
        fan = Rule("fan", at_least("views_1d", 1))
        other = Rule("other", lambda f: "fan" not in f["segments"])
        assert changes([view(0)], fan, other) == [
            ("fan", "entered", 0, 0),
            ("fan", "left", DAY, 0),
            ("other", "entered", DAY, DAY),
        ]


class TestPrivacy:
    NEVER = Rule("no-order", lambda f: f["orders_90d"] == 0, minimum_stay_ms=9 * DAY)

    def test_consent_ends_all_memberships(self) -> None:
        """Even before the minimum stay; they begin anew with the consent."""
        lines = [view(0), line("consent", 5, purposes={"personalization": False}), view(6)]
        assert changes(lines, self.NEVER) == [("no-order", "entered", 0, 0), ("no-order", "left", 5, 0)]
        lines.append(line("consent", 9, purposes={"personalization": True}))
        assert changes(lines, self.NEVER)[2:] == [("no-order", "entered", 9, 9)]

    def test_an_erased_customer_is_in_no_segment(self) -> None:
        """Until the next event."""
        lines = [view(0), line("erase", 5)]
        assert changes(lines, self.NEVER) == [("no-order", "entered", 0, 0), ("no-order", "left", 5, 0)]
        assert changes([*lines, view(DAY)], self.NEVER)[2:] == [("no-order", "entered", DAY, DAY)]

    def test_a_refund_ends_a_membership_at_its_own_time(self) -> None:
        """The order is whole until then."""
        rule = Rule("buyer", at_least("orders_7d", 1))
        lines = [order(0, "o", total=5), refund(DAY, "o")]
        assert changes(lines, rule) == [("buyer", "entered", 0, 0), ("buyer", "left", DAY, 0)]


def record(change_id: str, change: str, at_ms: int, supersedes: str | None = None, since_ms: int = 0) -> dict[str, Any]:
    entry = {"change_id": change_id, "customer_id": "c", "segment": "s", "change": change, "at_ms": at_ms}
    return entry | {"since_ms": since_ms or at_ms, "supersedes": supersedes}


def effective(*records: dict[str, Any]) -> list[str]:
    return [entry["change_id"] for entry in effective_changes(records)]


class TestCorrections:
    def test_plain_records_stand(self) -> None:
        """Twice the same one is one."""
        entered, left = record("1", "entered", 5), record("2", "left", 9)
        assert effective(entered, left, entered) == ["1", "2"]

    def test_a_corrected_time(self) -> None:
        """Entered at 5, no, at 7."""
        assert effective(record("1", "entered", 5), record("2", "entered", 7, "1")) == ["2"]

    def test_an_undoing_says_nothing_else(self) -> None:
        """Entered, which was untrue: nothing remains."""
        assert effective(record("1", "entered", 5), record("2", "left", 5, "1")) == []

    def test_an_undone_undoing(self) -> None:
        """Entered, no, yes after all: it stands once."""
        undone = record("1", "entered", 5), record("2", "left", 5, "1")
        assert effective(*undone, record("3", "entered", 5, "2")) == ["3"]

    def test_a_leaving_that_was_untrue(self) -> None:
        """Entered at 5, left at 9, which was untrue: entered at 5, and the map has since 5."""
        records = [record("1", "entered", 5), record("2", "left", 9, since_ms=5), record("3", "entered", 9, "2", 5)]
        assert effective(*records) == ["1"]
        assert replay_into_map(records) == {("c", "s"): 5}
        assert replay_into_map(records[:2]) == {}

    def test_true_changes_as_records(self) -> None:
        """What the membership oracle finds replays into what it says of members."""
        events = parse_events([view(0), view(2 * DAY)])
        rules = [Rule("seen", at_least("views_1d", 1))]
        records = as_records(true_changes(events, rules, T0 + 2 * DAY), "c1")
        assert len(records) == 3
        assert replay_into_map(records) == {("c1", "seen"): T0 + 2 * DAY}
        assert true_changes(events, rules, T0) == [Change(T0, "seen", "entered", T0)]


class TestNothingIsMissed:
    RULES = (
        Rule("buyer", at_least("orders_30d", 2)),
        Rule("viewer", at_least("views_7d", 2)),
        Rule("spender", at_least("revenue_14d_cents", 1500)),
        Rule("visitor", at_least("session_ms_1d", 1)),
        Rule("abandoner", lambda f: f["cart_abandoned_at_ms"] is not None),
        Rule("engaged", at_least("engagement", 6.5), engagements=[6.5]),
        Rule("away", at_least("since_last_seen_ms", 2 * DAY), ages_ms=[2 * DAY]),
        Rule("fresh", lambda f: f["recency_ms"] is not None and f["recency_ms"] < 3 * DAY, ages_ms=[3 * DAY]),
    )

    @pytest.mark.parametrize("seed", range(4))
    def test_members_are_those_whose_rule_is_true(self, seed: int) -> None:
        """At any moment at all, and right before, at and after each event, for rules without a memory."""
        random = Random(seed)
        events = parse_events(odd_stream(random, 40, subjects=1))
        found = true_changes(events, self.RULES, FAR)
        last_ms = events[-1].time_ms
        moments = [random.randint(events[0].time_ms, last_ms + 40 * DAY) for _ in range(60)]
        moments += [event.time_ms + step for event in events for step in (-1, 0, 1)]
        for at_ms in moments:
            features = {} if history_of(events, at_ms).denied else features_at(events, at_ms)
            true = {rule.name for rule in self.RULES if features and rule.enter(features)}
            members: set[str] = set()
            for change in found:
                if change.at_ms <= at_ms:
                    (members.add if change.change == "entered" else members.remove)(change.segment)
            assert members == true
