"""What became of snapshots: held to answers recomputed from the whole list of events."""

from random import Random
from typing import Any

import label_streams as streams
import pytest
from label_streams import DAY, HOUR, START, Asked, Event

from state.packing import pack
from state.population.labels import (
    BUYS,
    HORIZONS_MS,
    LAPSES,
    NOTHING,
    WAITING_MAX,
    Example,
    Pending,
    Step,
    answer,
    take,
)
from state.population.score_inputs import score_inputs, vectors

SAID = {"buys_7d": 0.25, "lapses_30d": 0.5}
UNTIL = START + 120 * DAY


class Follower:
    """Feeds snapshots of one history, wakes it when an answer is due, and keeps what it gives."""

    def __init__(self, events: list[Event], random: Random) -> None:
        self.events, self.random = events, random
        self.pending = NOTHING
        self.examples: list[Example] = []
        self.given_up = 0

    def _keep(self, step: Step) -> None:
        self.pending = step.pending
        self.examples += step.examples
        self.given_up += step.given_up
        assert len(self.pending.waiting) <= WAITING_MAX
        if self.random.random() < 0.2:
            self.pending = Pending.unpacked(self.pending.packed())

    def snapshot(self, now_ms: int, quiet_ms: int | None = None) -> None:
        self._keep(take(self.pending, "c1", now_ms, streams.values_at(self.events, now_ms), SAID, quiet_ms))

    def wake(self, now_ms: int) -> None:
        self._keep(answer(self.pending, "c1", now_ms, streams.values_at(self.events, now_ms)))

    def live(self, snapshots: list[int]) -> None:
        """Through all of it, never late."""
        tells = self.random.random() < 0.5
        erased = [event.time_ms for event in self.events if event.kind == "erase" and tells]
        ahead = sorted([(at_ms, "snapshot") for at_ms in snapshots] + [(at_ms, "erase") for at_ms in erased])
        for at_ms, what in [*ahead, (UNTIL, "end")]:
            while (due_ms := self.pending.next_due_ms()) is not None and due_ms <= at_ms:
                self.wake(due_ms)
            if what == "erase":
                self.pending = NOTHING
            elif what == "snapshot":
                self.snapshot(at_ms)

    def answers(self) -> dict[Asked, bool]:
        found = {(one.as_of_ms, one.target): one.positive for one in self.examples}
        assert len(found) == len(self.examples), "a question was answered twice"
        return found


def snapshot_times(random: Random) -> list[int]:
    """Some on the hour, some at any time, some twice; they go on to the end."""
    step = random.choice([6 * HOUR, DAY, 3 * DAY])
    times = [START + random.randrange(120 * DAY // step) * step for _ in range(60)]
    times += [START + random.randrange(120 * DAY) for _ in range(20)]
    return sorted(times)


class TestAgainstTheWholeList:
    @pytest.mark.parametrize("seed", range(150))
    def test_every_answer(self, seed: int) -> None:
        """With late, repeated and refunded orders, erasures told or not, and a restore now and then."""
        random = Random(seed)
        events, times = streams.history(random, 120), snapshot_times(random)
        follower = Follower(events, random)
        follower.live(times)
        expected = streams.answers(events, streams.asked_of(events, times), UNTIL)
        assert follower.answers() == expected
        assert follower.given_up == 0

    def test_the_streams_hold_what_they_should(self) -> None:
        """Both answers of both questions, refunds that decide, erasures that drop something."""
        counts = {(target, came): 0 for target in (0, 1) for came in (False, True)}
        turned = dropped = 0
        for seed in range(150):
            random = Random(seed)
            events, times = streams.history(random, 120), snapshot_times(random)
            asked = streams.asked_of(events, times)
            found = streams.answers(events, asked, UNTIL)
            kept = [event for event in events if event.kind != "refund"]
            bought = {one: came for one, came in streams.answers(kept, asked, UNTIL).items() if one[1] == BUYS}
            turned += sum(found[one] != came for one, came in bought.items())
            dropped += sum(at + HORIZONS_MS[target] <= UNTIL for at, target in asked) - len(found)
            for (_, target), came in found.items():
                counts[target, came] += 1
        assert min(counts.values()) > 100
        assert turned > 20
        assert dropped > 20

    @pytest.mark.parametrize("seed", range(100))
    def test_without_wake_ups(self, seed: int) -> None:
        """What is answered is true, and what cannot be known is given up and counted."""
        random = Random(seed)
        plain = [
            event for event in streams.history(random, 120, lateness_ms=0, erasures=False) if event.kind != "refund"
        ]
        times = snapshot_times(random)
        follower = Follower(plain, random)
        for at_ms in times:
            follower.snapshot(at_ms)
        asked = streams.asked_of(plain, times)
        due = [one for one in asked if one[0] + HORIZONS_MS[one[1]] <= times[-1]]
        expected = streams.answers(plain, asked, UNTIL)
        found = follower.answers()
        assert found.items() <= expected.items()
        assert len(found) + follower.given_up == len(due)

    @pytest.mark.parametrize("seed", range(100))
    def test_when_it_is_known_what_was_quiet(self, seed: int) -> None:
        """Nothing is given up, however late a snapshot comes, if one came after all that happened in a time."""
        random = Random(seed)
        plain = [
            event for event in streams.history(random, 120, lateness_ms=0, erasures=False) if event.kind != "refund"
        ]
        asked_at, last_ms = snapshot_times(random)[::7], 0
        news = sorted({event.time_ms for event in plain})
        times = sorted({*asked_at, *news})
        follower = Follower(plain, random)
        for at_ms in times:
            quiet_ms = min((one - 1 for one in news if last_ms < one <= at_ms), default=at_ms)
            follower.snapshot(at_ms, quiet_ms)
            last_ms = at_ms
        asked = streams.asked_of(plain, times)
        found = follower.answers()
        due = {one for one in asked if one[0] + HORIZONS_MS[one[1]] <= times[-1]}
        assert found == {one: came for one, came in streams.answers(plain, asked, UNTIL).items() if one in due}
        assert follower.given_up == 0


def values(at_ms: int, ordered_ms: int | None, seen_ms: int, **more: Any) -> dict[str, Any]:
    return {
        "recency_ms": None if ordered_ms is None else at_ms - ordered_ms,
        "last_seen_ms": seen_ms,
        "first_seen_ms": START - DAY,
        "since_last_seen_ms": at_ms - seen_ms,
        "orders_total": 0 if ordered_ms is None else 1,
    } | more


class TestTake:
    def test_the_example_is_what_was_known_then(self) -> None:
        """Inputs and what was said come back with the outcome."""
        then = values(START, None, START, views_30d=7)
        pending = take(NOTHING, "c1", START, then, SAID).pending
        ordered_ms = START + DAY
        step = answer(pending, "c1", START + 7 * DAY, values(START + 7 * DAY, ordered_ms, ordered_ms, views_30d=99))
        assert step.examples == [Example(START, "c1", BUYS, True, vectors.packed(score_inputs(then)), 0.25)]

    @pytest.mark.parametrize(("after_ms", "came"), [(0, False), (1, True), (7 * DAY, True), (7 * DAY + 1, False)])
    def test_the_ends_of_the_horizon(self, after_ms: int, came: bool) -> None:
        """(T, T + 7 d]: an order at T itself is in the features, not in the future."""
        pending = take(NOTHING, "c1", START, values(START, None, START)).pending
        due_ms = START + 7 * DAY
        ordered_ms = START + after_ms if after_ms <= 7 * DAY else None
        (example,) = answer(pending, "c1", due_ms, values(due_ms, ordered_ms, START)).examples
        assert example.positive is came

    def test_nothing_is_told_early(self) -> None:
        """Not even of somebody who has bought."""
        pending = take(NOTHING, "c1", START, values(START, None, START)).pending
        at_ms = START + 7 * DAY - 1
        step = take(pending, "c1", at_ms, values(at_ms, START + 5, START + 5))
        assert step.examples == []
        assert pending.next_due_ms() == START + 7 * DAY

    def test_who_is_asked_about_lapsing(self) -> None:
        """Who has ordered and was seen within 30 days."""
        month = 30 * DAY
        for ordered_ms, seen_ms, asked in [
            (None, START, 0b01),
            (START - month, START - month + 1, 0b11),
            (START - month, START - month, 0b01),
        ]:
            (one,) = take(NOTHING, "c1", START, values(START, ordered_ms, seen_ms, first_seen_ms=0)).pending.waiting
            assert one.open == asked

    def test_an_older_snapshot_changes_nothing(self) -> None:
        pending = take(NOTHING, "c1", START, values(START, None, START)).pending
        step = take(pending, "c1", START - 1, values(START - 1, START - 5, START - 5))
        assert step == Step([], pending)

    def test_a_hidden_order_is_not_guessed(self) -> None:
        """A newer order stands before the one that may have been in time."""
        pending = take(NOTHING, "c1", START, values(START, None, START)).pending
        at_ms = START + 9 * DAY
        step = take(pending, "c1", at_ms, values(at_ms, START + 8 * DAY, START + 8 * DAY))
        assert (step.examples, step.given_up) == ([], 1)

    def test_the_most_that_waits(self) -> None:
        """The bound is reached, and never passed."""
        pending, most = NOTHING, 0
        for at_ms in range(START + HOUR, START + 40 * DAY, 7 * HOUR):
            pending = take(pending, "c1", at_ms, values(at_ms, START, at_ms)).pending
            most = max(most, len(pending.waiting))
        assert 12 <= most <= WAITING_MAX
        assert len(pending.packed()) < 220 * WAITING_MAX


class TestPacking:
    def test_an_example(self) -> None:
        example = Example(START, "c1", LAPSES, True, b"1234", None)
        assert Example.unpacked(example.packed()) == example

    def test_newer_ones_are_refused(self) -> None:
        with pytest.raises(ValueError, match="newer program"):
            Pending.unpacked(pack((99, 0, 0, 0, ())))
        with pytest.raises(ValueError, match="newer program"):
            Example.unpacked(pack((99,)))
