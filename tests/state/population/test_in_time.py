"""Standings and views of a run that ends, by two channels of which either may be slow: nothing depends on which."""

import json
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from random import Random
from typing import Any

import msgpack
import pytest
from msgspec.structs import replace
from test_whole_population import EAGER, HARD, asks, lines_of
from whole_population import Left, fed, logics, newest_ms

from schemas.profiles import unpack_versioned
from schemas.settings import DAY_MS
from schemas.writes import WriteKind
from state.channels import Channel, Output
from state.customer.counts import NEVER_MS
from state.local import DictStore
from state.local_population import LocalPopulation, Timers
from state.population.assign import AssignLogic
from state.population.in_time import InTime
from state.population.percentiles import Percentiles, percentiles_of
from state.population.scales import scale_of
from state.population.sketch import QuantileSketch
from state.population.standing import Standing
from state.population.view import PopulationView
from state.rules.ruleset import parse_rules

START_MS = 1_750_000_000_000
SPEND = "revenue_total_cents"
RULES = parse_rules(
    f"[segments.upper]\ndescription = 'd'\nwhen = '{SPEND} > percentile({SPEND}, 50)'\n"
    f"[segments.lower]\ndescription = 'd'\nwhen = '{SPEND} <= percentile({SPEND}, 50)'\n"
)
STAYING = parse_rules(
    f"[segments.upper]\ndescription = 'd'\nenter = '{SPEND} > percentile({SPEND}, 50)'\nminimum_stay = '1d'\n"
)
AS_OF_MS = START_MS + 30 * DAY_MS


def standing(at_ms: int, spend: int, known_ms: int = -1, *, shown: bool = True, version: int = 1) -> Standing:
    features = msgpack.packb({SPEND: spend}) if shown else b""
    cause: Any = ("event", "e") if shown else ("consent", None)
    return Standing(at_ms, version, RULES.version, shown, 0, cause, features, known_ms)


def view(number: int, at_ms: int, median: int) -> PopulationView:
    """One in which half of the customers spend no more than `median`, which is below 512."""
    sketch = QuantileSketch(scale_of(SPEND))
    for spend in (median, median + 1):
        sketch.add(spend, at_ms=at_ms)
    found = percentiles_of(SPEND, sketch)
    assert isinstance(found, Percentiles)
    return PopulationView(number, at_ms, {(SPEND, False): found})


@dataclass
class Streams:
    """What comes by each channel: (customer, standing) or a view, and a number for a watermark."""

    standings: list[Any]
    views: list[Any]


def streams(random: Random) -> Streams:
    """Nothing comes with a time that the watermark of its channel has passed."""
    found, before_ms, number = Streams([], []), START_MS, 0
    newest = dict.fromkeys("abcd", START_MS)
    version = 0
    while before_ms < AS_OF_MS - 2 * DAY_MS:
        until_ms = before_ms + random.choice((1, 1_000, DAY_MS // 3, DAY_MS))
        for _ in range(random.choice((0, 1, 3))):
            key = random.choice("abcd")
            version += 1
            newest[key] = at_ms = max(newest[key], random.randint(before_ms - DAY_MS // 2, until_ms + DAY_MS // 2))
            spend, shown = random.randint(0, 500), random.random() > 0.1
            found.standings.append((key, standing(at_ms, spend, before_ms + 1, shown=shown, version=version)))
        if random.random() < 0.4:
            number += 1
            found.views.append(view(number, random.randint(before_ms + 1, until_ms), random.randint(0, 500)))
        for channel in (found.standings, found.views):
            channel.append(until_ms)
        before_ms = until_ms
    for channel in (found.standings, found.views):
        channel.append(NEVER_MS)
    return found


def run(streams: Streams, random: Random, rules: Any = RULES, as_of_ms: int = AS_OF_MS) -> list[Output]:
    """Read the channels at random paces, with timers as Flink has them."""
    logic, timers = InTime(AssignLogic(rules.remainder), as_of_ms), Timers()
    channels, times, now_ms = (deque(streams.standings), deque(streams.views)), [-1, -1], -1
    stores: dict[str, DictStore] = {}
    said: list[Output] = []
    pace = random.choice((0.02, 0.5, 0.98))
    while any(channels):
        at = int(random.random() < pace)
        at = at if channels[at] else 1 - at
        one = channels[at].popleft()
        if isinstance(one, PopulationView):
            assert not logic.on_broadcast(one.packed(), None)
        elif isinstance(one, tuple):
            key, told = one
            wake_ms, outputs = logic.on_standing(key, told.packed(), now_ms, stores.setdefault(key, DictStore()))
            assert not list(outputs)
            timers.register(wake_ms, key)
            timers.register(NEVER_MS, key)
        else:
            times[at] = one
            now_ms = min(times)
            for time_ms, key in timers.due(now_ms):
                wake_ms, outputs = logic.on_timer(key, time_ms, now_ms, stores[key])
                assert wake_ms is None or time_ms < wake_ms <= as_of_ms
                timers.register(wake_ms, key)
                said += outputs
    return said


def changes(said: Iterable[Output]) -> dict[str, list[tuple[str, str, int, str]]]:
    """By customer: segment, entered or left, when, and why."""
    found: dict[str, list[tuple[str, str, int, str]]] = {}
    for channel, key, payload in said:
        if channel == Channel.SEGMENT_CHANGE:
            one = json.loads(payload)
            found.setdefault(key, []).append((one["segment"], one["change"], one["at_ms"], one["cause"]["kind"]))
    return found


def profiles(said: Iterable[Output]) -> dict[str, dict[str, Any] | None]:
    """What is written of each customer, which is once."""
    found: dict[str, dict[str, Any] | None] = {}
    for channel, key, payload in said:
        if channel == Channel.REDIS:
            kind, _, packed, *_ = msgpack.unpackb(payload, raw=True)
            assert key not in found
            assert kind == WriteKind.POPULATION
            found[key] = unpack_versioned(packed)
    return found


class Naive:
    """One customer, with everything that came in the order of time, read from the documentation."""

    def __init__(self) -> None:
        self.spend: int | None = None
        self.view: PopulationView | None = None
        self.told_ms = -1
        self.members: set[str] = set()
        self.changes: list[tuple[str, str, int, str]] = []

    def see(self, at_ms: int, cause: str) -> None:
        self.told_ms = at_ms = max(at_ms, self.told_ms)
        members = self.members
        if self.spend is None:
            members = set()
        elif self.view is not None:
            median = self.view.percentiles[SPEND, False].percentile(50)
            members = {"upper" if self.spend > median else "lower"}
        turned = [(name, "entered" if name in members else "left", at_ms, cause) for name in self.members ^ members]
        self.changes += sorted(turned, key=lambda one: ("upper", "lower").index(one[0]))
        self.members = members

    def catch_up(self, view: PopulationView | None) -> None:
        if view is not self.view:
            self.view = view
            if self.spend is not None and view is not None:
                self.see(view.at_ms, "model")


def naive(streams: Streams) -> dict[str, list[tuple[str, str, int, str]]]:
    people: dict[str, Naive] = {}
    views = [one for one in streams.views if isinstance(one, PopulationView)]
    told = [one for one in streams.standings if isinstance(one, tuple)]
    for key, one in sorted(told, key=lambda told: max(told[1].as_of_ms, told[1].known_ms)):
        person = people.setdefault(key, Naive())
        held_ms = max(one.as_of_ms, one.known_ms)
        person.catch_up(max((view for view in views if view.at_ms <= held_ms), key=number, default=None))
        person.spend = one.values()[SPEND] if one.shown else None
        person.see(one.as_of_ms, one.cause[0])
    for person in people.values():
        person.catch_up(max(views, key=number, default=None))
    return {key: person.changes for key, person in people.items() if person.changes}


def number(view: PopulationView) -> int:
    return view.number


class TestOrder:
    @pytest.mark.parametrize("seed", range(30))
    def test_any_pace_of_the_channels(self, seed: int) -> None:
        """What is said is what is so in the order of time, however slow one of the channels is."""
        random = Random(seed)
        come = streams(random)
        expected = naive(come)
        first = run(come, random)
        assert changes(first) == expected
        for _ in range(4):
            assert run(come, random) == first

    def test_there_are_changes_of_all_kinds(self) -> None:
        """In those streams."""
        kinds = {one[3] for seed in range(30) for rows in naive(streams(Random(seed))).values() for one in rows}
        assert kinds == {"event", "model", "consent"}


class Lagging(LocalPopulation):
    """The operator behind the customers' has a watermark that comes late: that of the views' channel."""

    def __init__(self, *args: Any, seed: int) -> None:
        super().__init__(*args)
        self.random, self.now_ms = Random(seed), -1

    def stand(self, key: str, packed: bytes) -> None:
        known = Standing.unpacked(packed)
        assert self.customers.watermark_ms == NEVER_MS or max(known.as_of_ms, known.known_ms) > self.now_ms
        super().stand(key, packed)

    def _advance(self, watermark_ms: int) -> list[Output]:
        timers, self._assign_timers = self._assign_timers, Timers()
        said = super()._advance(watermark_ms)
        self._assign_timers = timers
        if watermark_ms == NEVER_MS or self.random.random() < 0.1:
            self.now_ms = watermark_ms
            for time_ms, key in timers.due(watermark_ms):
                wake_ms, outputs = self.logics.assign.on_timer(key, time_ms, watermark_ms, self.assigned[key])
                timers.register(wake_ms, key)
                said += outputs
        return said


class TestWholeRuns:
    @pytest.mark.parametrize(("seed", "out_of_orderness_ms"), [(2, 5_000), (3, 0)])
    def test_of_late_events(self, seed: int, out_of_orderness_ms: int) -> None:
        """A customer who lives behind the watermark says nothing of a time that it has passed."""
        lines = lines_of(seed, replace(HARD, events=1_500))
        as_of_ms = newest_ms(lines)
        plain, *others = (
            said_of(fed(run, lines))
            for run in (
                LocalPopulation(logics(as_of_ms, EAGER), out_of_orderness_ms),
                Lagging(logics(as_of_ms, EAGER), out_of_orderness_ms, seed=1),
                Lagging(logics(as_of_ms, EAGER), out_of_orderness_ms, seed=2),
            )
        )
        assert all(other == plain for other in others)


def said_of(left: Left) -> dict[str, list[Output]]:
    """By customer, in the order in which it was said: all that is said where the population is known."""
    found: dict[str, list[Output]] = {}
    for channel, key, payload in left.outputs:
        beside = channel == Channel.REDIS and msgpack.unpackb(payload, raw=True)[0] == WriteKind.POPULATION
        if beside or (channel == Channel.SEGMENT_CHANGE and asks(json.loads(payload))):
            found.setdefault(key, []).append((channel, key, payload))
    return found


class TestTheEnd:
    def test_everybody_is_written_once(self) -> None:
        """As of the end, with the newest view; who is hidden, as a tombstone."""
        come = Streams([("a", standing(START_MS, 30)), ("b", standing(START_MS, 5, shown=False)), START_MS + 2], [])
        come.standings += [("a", standing(START_MS + 3, 30)), NEVER_MS]
        come.views = [view(1, START_MS + 1, 50), START_MS + 2, view(2, AS_OF_MS, 20), NEVER_MS]
        said = run(come, Random(1))
        found = profiles(said)
        assert found.keys() == {"a", "b"}
        assert found["b"] is None
        assert found["a"] is not None
        assert found["a"]["segments"] == {"upper": AS_OF_MS}
        rows = [("lower", "entered", START_MS + 1), ("upper", "entered", AS_OF_MS), ("lower", "left", AS_OF_MS)]
        assert sorted(changes(said)["a"]) == sorted((*row, "model") for row in rows)

    def test_known_only_after_the_end(self) -> None:
        """Without any allowance for disorder the watermark is at the end with the newest event."""
        late = standing(AS_OF_MS, 30, AS_OF_MS + 1)
        come = Streams([("a", standing(START_MS, 5)), AS_OF_MS, ("a", late), NEVER_MS], [view(1, START_MS, 20)])
        come.views += [AS_OF_MS, NEVER_MS]
        said = run(come, Random(1))
        assert profiles(said).keys() == {"a"}
        assert [one for one in changes(said)["a"] if one[0] == "upper"] == [("upper", "entered", AS_OF_MS, "event")]


class TestStays:
    @pytest.mark.parametrize(("days", "leaves"), [(1, True), (0.5, False)])
    def test_over_before_the_end_or_not(self, days: float, leaves: bool) -> None:
        """Who wants to leave does so when the minimum stay is over, which is seen with nothing else happening."""
        as_of_ms = START_MS + int(days * DAY_MS) + 20
        told = [standing(START_MS + 10, 30), standing(START_MS + 20, 5)]
        for seed in range(5):
            come = Streams([("a", one._replace(rules=STAYING.version)) for one in told], [view(1, START_MS, 20)])
            come.standings += [as_of_ms - 5, NEVER_MS]
            come.views += [as_of_ms - 5, NEVER_MS]
            said = run(come, Random(seed), STAYING, as_of_ms)
            expected = [("upper", "entered", START_MS + 10, "event"), ("upper", "left", START_MS + 10 + DAY_MS, "time")]
            assert changes(said)["a"] == expected[: 1 + leaves]
            assert profiles(said).keys() == {"a"}
