"""Corrections: whatever turns out not to be true, subscribers end with what is."""

from random import Random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from oracle.changes import effective_changes, replay_into_map

from state.customer.corrections import Turn, corrections

SEGMENTS = ("x", "y")
START_MS, END_MS = 100, 112  # few moments, so that old and new turns often meet


def random_turns(random: Random, members: dict[str, int]) -> list[Turn]:
    """Turns as they can be true: in and out by turns, both at one moment only as an erasure and a new entry."""
    found: list[Turn] = []
    erased_ms = random.choice((None, None, random.randrange(START_MS, END_MS)))
    for segment in SEGMENTS:
        since_ms = members.get(segment)
        for at_ms in range(START_MS, END_MS):
            if since_ms is not None and (at_ms == erased_ms or random.random() < 0.25):
                found.append(Turn(segment, False, at_ms, since_ms))
                since_ms = None
                if at_ms != erased_ms:
                    continue
            if since_ms is None and random.random() < 0.25:
                found.append(Turn(segment, True, at_ms, at_ms))
                since_ms = at_ms
    return sorted(found, key=lambda turn: turn.at_ms)


class Topic:
    """Everything said, with what stands as published."""

    def __init__(self, members: dict[str, int]) -> None:
        self.records: list[dict[str, Any]] = []
        self.published: list[Turn] = []
        self.before = [Turn(segment, True, since_ms, since_ms) for segment, since_ms in members.items()]
        self._publish(self.before)

    def tell(self, true: list[Turn]) -> list[Turn]:
        say, stand = corrections(self.published, true, ("late-event", "e"))
        named = self._publish(say)
        self.published = [named.get(id(turn), turn) for turn in stand]
        return say

    def _publish(self, turns: list[Turn]) -> dict[int, Turn]:
        named = {}
        for turn in turns:
            assert not turn.change_id
            change_id = f"r{len(self.records)}"
            self.records.append(
                {
                    "change_id": change_id,
                    "customer_id": "c",
                    "segment": turn.segment,
                    "change": turn.change,
                    "at_ms": turn.at_ms,
                    "since_ms": turn.since_ms,
                    "supersedes": turn.supersedes or None,
                }
            )
            named[id(turn)] = replace(turn, change_id=change_id)
        return named


def rows(records: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
    return sorted((one["segment"], one["at_ms"], one["change"], one["since_ms"]) for one in records)


def as_rows(turns: list[Turn]) -> list[tuple[Any, ...]]:
    return sorted((turn.segment, turn.at_ms, turn.change, turn.since_ms) for turn in turns)


def members_after(members: dict[str, int], turns: list[Turn]) -> dict[tuple[str, str], int]:
    now = dict(members)
    for turn in turns:
        if turn.entered:
            now[turn.segment] = turn.since_ms
        else:
            del now[turn.segment]
    return {("c", segment): since_ms for segment, since_ms in now.items()}


class TestAnyTurns:
    @settings(max_examples=300, deadline=None, derandomize=True)
    @given(st.integers(0, 1 << 32), st.integers(1, 5))
    def test_a_subscriber_ends_with_what_is_true(self, seed: int, rounds: int) -> None:
        """After each round the naive map, the list without what is void, and what stands are what is true."""
        random = Random(seed)
        members = {segment: 50 for segment in SEGMENTS if random.random() < 0.5}
        topic = Topic(members)
        for _ in range(rounds):
            true = random_turns(random, members)
            topic.tell(true)
            assert replay_into_map(topic.records) == members_after(members, true)
            assert rows(effective_changes(topic.records)) == as_rows([*topic.before, *true])
            assert as_rows(topic.published) == as_rows(true)
            assert [turn.at_ms for turn in topic.published] == sorted(turn.at_ms for turn in true)
            assert all(turn.change_id for turn in topic.published)

    @settings(max_examples=100, deadline=None, derandomize=True)
    @given(st.integers(0, 1 << 32))
    def test_what_is_true_already_is_not_said_again(self, seed: int) -> None:
        random = Random(seed)
        topic = Topic({})
        true = random_turns(random, {})
        topic.tell(true)
        known = topic.published
        assert topic.tell(list(true)) == []
        assert topic.published == known

    @settings(max_examples=100, deadline=None, derandomize=True)
    @given(st.integers(0, 1 << 32), st.integers(1, 4))
    def test_each_record_is_superseded_once_at_most(self, seed: int, rounds: int) -> None:
        random = Random(seed)
        topic = Topic({})
        for _ in range(rounds):
            topic.tell(random_turns(random, {}))
        named = [record["supersedes"] for record in topic.records if record["supersedes"]]
        assert len(named) == len(set(named))
        ids = [record["change_id"] for record in topic.records]
        assert all(ids.index(old) < at for at, old in enumerate(r["supersedes"] for r in topic.records) if old)


class TestExamples:
    def test_one_segment_does_not_disturb_another(self) -> None:
        topic = Topic({})
        topic.tell([Turn("x", True, 100, 100), Turn("y", True, 100, 100)])
        said = topic.tell([Turn("x", True, 101, 101), Turn("y", True, 100, 100)])
        assert {turn.segment for turn in said} == {"x"}

    def test_an_entry_moves_and_the_leaving_is_said_again(self) -> None:
        """The example of the module: entered@3, left@9 turns out to be entered@5, left@9."""
        topic = Topic({})
        topic.tell([Turn("x", True, 3, 3), Turn("x", False, 9, 3)])
        topic.tell([Turn("x", True, 5, 5), Turn("x", False, 9, 5)])
        assert [(r["change"], r["at_ms"], r["since_ms"], r["supersedes"]) for r in topic.records[2:]] == [
            ("entered", 5, 5, "r0"),
            ("left", 9, 5, "r1"),
        ]

    def test_a_leaving_taken_back_is_being_in_since_the_old_entry(self) -> None:
        topic = Topic({"x": 50})
        topic.tell([Turn("x", False, 109, 50)])
        (said,) = topic.tell([])
        assert (said.change, said.at_ms, said.since_ms, said.supersedes) == ("entered", 50, 50, "r1")

    def test_an_entry_taken_back_is_not_being_in_from_then_on(self) -> None:
        topic = Topic({})
        topic.tell([Turn("x", True, 105, 105)])
        (said,) = topic.tell([])
        assert (said.change, said.at_ms, said.since_ms, said.supersedes) == ("left", 105, 105, "r0")

    def test_an_erasure_and_an_entry_in_its_millisecond(self) -> None:
        """Left first and entered anew: known already, the entry is said again, or the map would end without it."""
        topic = Topic({})
        topic.tell([Turn("x", True, 100, 100)])
        topic.tell([Turn("x", True, 90, 90), Turn("x", False, 100, 90), Turn("x", True, 100, 100)])
        assert replay_into_map(topic.records) == {("c", "x"): 100}
