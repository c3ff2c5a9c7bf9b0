"""Memberships: since when, minimum stays, packing, and other rules."""

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from naive_rules import NaiveRules, NaiveSegment
from rule_strategies import VALUES, rule_sets

from state.rules.membership import Change, Gone, Membership
from state.rules.ruleset import RuleSet, parse_rules

MANY = settings(max_examples=50, deadline=None)

STAY = """
[segments.buyers]
description = "d"
when = "orders_7d > 0"
minimum_stay = "10ms"
[segments.lookers]
description = "d"
when = "views_7d > 2"
"""


def rules_of(text: str, *, rename: tuple[str, str] = ("", "")) -> RuleSet:
    """Rules of a text, with one thing replaced."""
    return parse_rules(text.replace(*rename) if rename[0] else text)


def naive_life(
    segments: list[NaiveSegment], names: tuple[str, ...], rows: list[dict], times: list[int], end_ms: int
) -> list[tuple]:
    """Every change, by looking at each single millisecond."""
    naive = NaiveRules(segments)
    stay_ms = {segment.name: segment.stay_ms for segment in segments}
    since: dict[str, int] = {}
    changes: list[tuple] = []
    for now_ms in range(times[0], end_ms):
        row = [row for row, time_ms in zip(rows, times, strict=True) if time_ms <= now_ms][-1]
        held = {name for name, since_ms in since.items() if now_ms - since_ms < stay_ms[name]}
        after, _ = naive.step(row, set(since), held)
        for name in names:
            if name in after and name not in since:
                since[name] = now_ms
                changes.append((name, True, now_ms, now_ms))
            elif name in since and name not in after:
                changes.append((name, False, now_ms, since.pop(name)))
    return changes


class TestMinimumStay:
    """Who entered stays for a while."""

    def test_leaving_waits_for_the_end_of_the_stay(self) -> None:
        """At since + stay, to the millisecond, and not before."""
        membership = Membership(parse_rules(STAY))
        assert membership.evaluate((0, 1), 100) == [Change(0, True, 100, 100)]
        assert membership.next_forced_ms() is None
        assert membership.evaluate((0, 0), 105) == ()
        assert membership.next_forced_ms() == 110
        assert membership.evaluate((0, 0), 109) == ()
        assert membership.evaluate((0, 0), 110) == [Change(0, False, 110, 100)]
        assert membership.next_forced_ms() is None

    def test_a_wish_to_leave_that_passed_is_forgotten(self) -> None:
        """A new order before the end of the stay keeps the membership and its time."""
        membership = Membership(parse_rules(STAY))
        membership.evaluate((0, 1), 100)
        membership.evaluate((0, 0), 105)
        assert membership.evaluate((0, 1), 107) == ()
        assert membership.next_forced_ms() is None
        assert membership.since() == [("buyers", 100)]

    def test_only_who_wants_to_leave_is_woken_for(self) -> None:
        """An earlier end of another stay, running or over, asks for nothing."""
        both = rules_of(STAY, rename=('when = "views_7d > 2"', 'when = "views_7d > 2"\nminimum_stay = "50ms"'))
        membership = Membership(both)
        membership.evaluate((3, 1), 100)
        assert membership.next_forced_ms() is None
        membership.evaluate((0, 1), 105)
        assert membership.next_forced_ms() == 150
        membership.evaluate((0, 1), 120)
        assert membership.next_forced_ms() == 150
        membership.evaluate((0, 0), 121)
        assert membership.since() == [("lookers", 100)]

    def test_others_leave_at_once(self) -> None:
        """A stay holds only its own segment."""
        membership = Membership(parse_rules(STAY))
        membership.evaluate((3, 1), 100)
        assert membership.evaluate((0, 0), 101) == [Change(1, False, 101, 100)]

    def test_an_end_of_everything_heeds_no_stay(self) -> None:
        """Consent withdrawn or customer erased: every segment is left at that time."""
        membership = Membership(parse_rules(STAY))
        membership.evaluate((3, 1), 100)
        membership.evaluate((3, 0), 101)
        assert membership.end_all(102) == [Change(0, False, 102, 100), Change(1, False, 102, 100)]
        assert (membership.mask, membership.since(), membership.next_forced_ms()) == (0, [], None)


class TestAgainstNaive:
    """Random lives of customers."""

    @MANY
    @given(rule_sets(), st.lists(st.tuples(st.integers(1, 6), VALUES), min_size=1, max_size=8))
    def test_waking_only_when_asked_misses_nothing(self, made: tuple, events: list) -> None:
        """Evaluated at events and forced times only, a life is the same as looked at in each millisecond."""
        rules, segments = made
        rows = [row for _, row in events]
        times = [sum(gap for gap, _ in events[: index + 1]) for index in range(len(events))]
        end_ms = times[-1] + 20
        membership = Membership(rules)
        changes: list[tuple] = []

        def look(row: dict, now_ms: int) -> None:
            found = membership.evaluate(tuple(row[name] for name in rules.reads), now_ms)
            changes.extend((rules.names[c.bit], *c[1:]) for c in found)
            unpacked, _ = Membership.from_packed(rules, membership.to_packed())
            assert unpacked.since() == membership.since()
            assert unpacked.next_forced_ms() == membership.next_forced_ms()

        for row, time_ms, next_ms in zip(rows, times, [*times[1:], end_ms], strict=True):
            look(row, time_ms)
            while (forced_ms := membership.next_forced_ms()) is not None and forced_ms < next_ms:
                assert forced_ms > time_ms
                look(row, forced_ms)
                packed = msgspec.msgpack.decode(msgspec.msgpack.encode(membership.to_packed()))
                membership, gone = Membership.from_packed(rules, packed)
                assert gone == []
        assert changes == naive_life(segments, rules.names, rows, times, end_ms)


class TestPacking:
    """Plain values in, plain values out."""

    def test_a_round_trip_keeps_everything(self) -> None:
        """Segments, times and the next forced time, as values MessagePack knows."""
        rules = parse_rules(STAY)
        membership = Membership(rules)
        membership.evaluate((3, 1), 100)
        membership.evaluate((3, 0), 105)
        packed = membership.to_packed()
        assert packed == [1, rules.version, 110, "buyers", 100, "lookers", 100]
        again, gone = Membership.from_packed(rules, packed)
        assert (again.mask, again.since(), again.next_forced_ms(), gone) == (0b11, membership.since(), 110, [])
        assert again.to_packed() == packed
        assert Membership.packed_version(packed) == rules.version

    @pytest.mark.parametrize(
        "packed",
        [[], [2, "v", None], [1, "v", None, "a"], [1, "v", "soon"], [1, "v", None, 5, 5], [1, "v", None, "a", None]],
    )
    def test_what_is_damaged_is_refused(self, packed: list) -> None:
        """Never a half-read membership."""
        with pytest.raises(ValueError, match="packed membership"):
            Membership.from_packed(parse_rules(STAY), packed)

    def test_a_copy_is_independent(self) -> None:
        """What happens to a copy does not happen to the original."""
        membership = Membership(parse_rules(STAY))
        membership.evaluate((3, 1), 100)
        twin = membership.copy()
        twin.evaluate((0, 0), 200)
        assert membership.since() == [("buyers", 100), ("lookers", 100)]
        assert twin.since() == []


class TestOtherRules:
    """A new version of the rules takes over the members by name."""

    RENAMED = rules_of(STAY, rename=("segments.buyers", "segments.shoppers"))

    def test_a_segment_that_is_gone_is_left_and_the_others_keep_their_time(self) -> None:
        """What is gone comes back with its name and time, for a change with the rules as cause."""
        membership = Membership(parse_rules(STAY))
        membership.evaluate((3, 1), 100)
        assert membership.migrate(self.RENAMED) == [Gone("buyers", 100)]
        assert membership.since() == [("lookers", 100)]
        assert membership.evaluate((3, 1), 200) == [Change(0, True, 200, 200)]
        assert membership.since_ms("lookers") == 100
        assert membership.since_ms("buyers") is None

    def test_packed_under_old_rules_and_read_under_new_ones(self) -> None:
        """The same, across a restart; the order of the file does not matter."""
        membership = Membership(parse_rules(STAY))
        membership.evaluate((3, 1), 100)
        again, gone = Membership.from_packed(self.RENAMED, membership.to_packed())
        assert gone == [Gone("buyers", 100)]
        assert again.since() == [("lookers", 100)]

    def test_a_longer_stay_holds_from_the_first_entry(self) -> None:
        """The new minimum stay counts from when the segment was entered."""
        membership = Membership(parse_rules(STAY))
        membership.evaluate((0, 1), 100)
        membership.migrate(rules_of(STAY, rename=("10ms", "50ms")))
        membership.evaluate((0, 0), 120)
        assert membership.next_forced_ms() == 150
