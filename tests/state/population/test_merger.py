"""The merger of parcels: whatever order they come in, and through restarts; and rules that ask otherwise."""

import json
from itertools import groupby
from random import Random
from typing import Any

import pytest
from told_messages import CLUSTERS, Tellers

from schemas.settings import HOUR_MS
from state.channels import Channel, Output
from state.local_population import ListStore
from state.packing import pack
from state.population.gather import gathered
from state.population.gathering import Parcel
from state.population.merger import TOGETHER_MS, MergerLogic
from state.population.population import PopulationLogic
from state.population.publishing import PublishSettings
from state.population.questions import Key, with_scores
from state.population.refusal import PopulationError
from state.population.rules_kept import RULES_KEPT
from state.population.settings import PopulationSettings
from state.population.view import PopulationView
from state.rules.ruleset import RuleSet, parse_rules

EVERY_MS = 600_000
START_MS = 1_750_000_000_000 // EVERY_MS * EVERY_MS
SETTINGS = PopulationSettings(
    enabled=True, clusters=CLUSTERS, percentiles=PublishSettings(tolerance=0.0, rank_tolerance=0.0, least_count=5)
)


def rules(point: int, feature: str = "orders_total") -> RuleSet:
    return parse_rules(f"[segments.s]\ndescription = 'd'\nwhen = '{feature} > percentile({feature}, {point})'\n")


def record(one: RuleSet, control_id: str = "a") -> bytes:
    return json.dumps({"control_id": control_id, "kind": "rules", "rules": one.text}).encode()


def points(outputs: list[Output], key: Key = ("orders_total", False)) -> set[float]:
    """Of the newest view."""
    (*_, packed) = [payload for channel, _, payload in outputs if channel == Channel.VIEW]
    return set(PopulationView.unpacked(packed).percentiles[key].points)


def parcels(random: Random, tellers: Tellers, at_ms: int) -> list[bytes]:
    """Of some places, and one interval."""
    messages = [tellers.message(at_ms - random.randrange(EVERY_MS)) for _ in range(random.randint(1, 40))]
    places = random.randint(1, 3)
    found = []
    for place in range(places):
        ours = [one for one in messages if int(one.customer_id[1:]) % places == place]
        if ours:
            found.append(Parcel(at_ms, gathered(CLUSTERS, ours).packed()).packed())
    return found


def merger(submitted: RuleSet | None = None, *, live: bool = True) -> MergerLogic:
    return MergerLogic(SETTINGS, submitted or rules(80), live=live)


class TestRestarts:
    @pytest.mark.parametrize("seed", range(3))
    def test_after_every_call(self, seed: int) -> None:
        """One that is read again from what it saved says the same and leaves the same bytes."""
        random = Random(seed)
        tellers, now_ms = Tellers(random), START_MS
        steady, steady_store, store = merger(), ListStore(), ListStore()
        said = 0
        for number in range(30):
            now_ms += EVERY_MS
            calls: list[tuple[str, Any]] = []
            if random.random() < 0.3:
                other = rules(random.randint(1, 99), random.choice(("orders_total", "revenue_total_cents")))
                calls.append(("on_control", (record(other, str(number)),)))
            calls += [("on_parcel", (packed, now_ms - 1)) for packed in parcels(random, tellers, now_ms)]
            if random.random() < 0.7:
                calls.append(("on_time", (now_ms, now_ms)))
            for name, args in calls:
                expected = getattr(steady, name)(*args, steady_store)
                assert getattr(merger(), name)(*args, store) == expected
                assert store.packed == steady_store.packed
                assert store.pending() == steady_store.pending()
                said += bool(name == "on_time" and expected)
        assert said > 5

    def test_time_goes_forward(self) -> None:
        """A parcel of before, as may come when nobody knows what time it is, is learnt from with the newest."""
        tellers, store = Tellers(Random(1), customers=None), ListStore()
        for at_ms in (START_MS + EVERY_MS, START_MS):
            one = merger()
            told = gathered(CLUSTERS, [tellers.message(START_MS) for _ in range(30)])
            one.on_parcel(Parcel(at_ms, told.packed()).packed(), -(1 << 63), store)
            views = [payload for channel, _, payload in one.on_time(at_ms, at_ms, store) if channel == Channel.VIEW]
            assert [PopulationView.unpacked(packed).at_ms for packed in views] == [START_MS + EVERY_MS]

    def test_a_run_that_ends_keeps_nothing(self) -> None:
        """Nobody reads it."""
        one, store = merger(live=False), ListStore()
        for packed in parcels(Random(1), Tellers(Random(1)), START_MS):
            one.on_parcel(packed, START_MS - 1, store)
        assert one.on_time(START_MS, START_MS, store)
        assert store.packed is None

    def test_newer_bytes_are_refused(self) -> None:
        """With a word about it, of state and of parcels."""
        store = ListStore()
        store.save(pack([99, b""]))
        with pytest.raises(PopulationError, match="version 99"):
            merger().on_control(record(rules(1)), store)
        with pytest.raises(PopulationError, match="version 99"):
            merger().on_parcel(pack([99, START_MS, b""]), 0, store)


class TestIntervals:
    @pytest.mark.parametrize("seed", range(4))
    def test_any_order(self, seed: int) -> None:
        """Parcels of several places and intervals: those that have ended are learnt from, in order of time."""
        random = Random(seed)
        tellers, one, store = Tellers(random, customers=None), merger(), ListStore()
        plain = PopulationLogic(SETTINGS, with_scores(rules(80).remainder.asks))
        waiting: list[Parcel] = []
        now_ms = START_MS
        for _ in range(12):
            come = [
                packed for ahead in random.sample((1, 2, 3), 2) for packed in parcels(random, tellers, now_ms + ahead)
            ]
            random.shuffle(come)
            for packed in come:
                waiting.append(Parcel.unpacked(packed))
                assert one.on_parcel(packed, now_ms, store) == waiting[-1].at_ms
            now_ms += random.randint(1, 3)
            outputs = one.on_time(now_ms, now_ms, store)
            expected = []
            due = sorted((parcel for parcel in waiting if parcel.at_ms <= now_ms), key=lambda parcel: parcel.at_ms)
            waiting = [parcel for parcel in waiting if parcel.at_ms > now_ms]
            for at_ms, ones in groupby(due, key=lambda parcel: parcel.at_ms):
                whole = merged_naively([parcel.opened(CLUSTERS) for parcel in ones])
                view, _ = plain.on_interval(whole, at_ms)
                expected += [] if view is None else [view.packed()]
            assert [payload for channel, _, payload in outputs if channel == Channel.VIEW] == expected
            assert sorted(store.pending()) == sorted(parcel.packed() for parcel in waiting)
        assert one.on_parcel(come[0], now_ms + 10, store) == now_ms + 11  # too late for its own time

    def test_history_in_larger_steps(self) -> None:
        """What the clock has passed at once is learnt from six hours at a time; it adds up to the same."""
        tellers, first_ms = Tellers(Random(5), customers=None), -(-START_MS // TOGETHER_MS) * TOGETHER_MS
        told = [packed for hour in range(1, 51) for packed in parcels(Random(hour), tellers, first_ms + hour * HOUR_MS)]
        once, apart = (merger(), ListStore()), (merger(), ListStore())
        for one, store in (once, apart):
            for packed in told:
                one.on_parcel(packed, first_ms, store)
        ends_ms = first_ms + 50 * HOUR_MS
        outputs = once[0].on_time(first_ms + HOUR_MS, ends_ms, once[1])
        times = [PopulationView.unpacked(one).at_ms for channel, _, one in outputs if channel == Channel.VIEW]
        assert set(times) <= {*range(first_ms + TOGETHER_MS, ends_ms, TOGETHER_MS), ends_ms - HOUR_MS, ends_ms}
        assert once[0].tally.intervals == 8 + 2  # 48 hours, and two that are not six yet
        for hour in range(1, 51):
            apart[0].on_time(first_ms + hour * HOUR_MS, first_ms + hour * HOUR_MS, apart[1])
        assert apart[0].tally.intervals == 50
        counts = [one._opened(store)._sketches.packed() for one, store in (once, apart)]
        assert counts[0] == counts[1]
        assert once[1].pending() == []

    @pytest.mark.parametrize(("minutes", "intervals"), [(10, 2), (20, 1)])
    def test_history_that_is_read_bit_by_bit(self, minutes: int, intervals: int) -> None:
        """Of six hours that are not over, too, what the clock has passed at once is one, if it is more than two."""
        tellers, first_ms = Tellers(Random(5), customers=None), -(-START_MS // TOGETHER_MS) * TOGETHER_MS + EVERY_MS
        one, store = merger(), ListStore()
        for at_ms in range(first_ms, first_ms + minutes * 60_000 + 1, EVERY_MS):
            for packed in parcels(Random(at_ms), tellers, at_ms):
                one.on_parcel(packed, first_ms - 1, store)
        outputs = one.on_time(first_ms, at_ms, store)
        times = {PopulationView.unpacked(one).at_ms for channel, _, one in outputs if channel == Channel.VIEW}
        assert one.tally.intervals == intervals
        assert max(times) == at_ms


def merged_naively(ones: list[Any]) -> Any:
    """One after the other."""
    first, *others = ones
    for other in others:
        first.deltas.merge(other.deltas)
        first.intake.merge(other.intake)
        examples, gone = sorted((*first.examples, *other.examples)), sorted((*first.gone, *other.gone))
        given_up = first.given_up + other.given_up
        first = first._replace(examples=tuple(examples), gone=tuple(gone), given_up=given_up)
    return first


class TestRules:
    def lived(self, one: MergerLogic, store: ListStore, at_ms: int = START_MS) -> list[Output]:
        tellers = Tellers(Random(at_ms), customers=None)
        told = gathered(CLUSTERS, [tellers.message(at_ms) for _ in range(30)])
        one.on_parcel(Parcel(at_ms, told.packed()).packed(), at_ms - 1, store)
        return one.on_time(at_ms, at_ms, store)

    def test_questions_of_old_and_new(self) -> None:
        """Both are answered: customers may live under either. Records of other kinds change nothing."""
        one, store = merger(rules(80)), ListStore()
        assert points(self.lived(one, store)) == {80}
        one.on_control(record(rules(30)), store)
        one.on_control(b'{"control_id": "b", "kind": "settings", "settings": {"max_future_ms": 1}}', store)
        assert points(self.lived(one, store, START_MS + EVERY_MS)) == {30, 80}
        again = merger(rules(60))
        assert points(self.lived(again, store, START_MS + 2 * EVERY_MS)) == {30, 60, 80}

    def test_there_is_a_bound(self) -> None:
        """The newest are answered; published once more, rules are as new as any."""
        one, store = merger(rules(80)), ListStore()
        self.lived(one, store)
        for number in range(1, RULES_KEPT):
            one.on_control(record(rules(number)), store)
        one.on_control(record(rules(80), "again"), store)
        one.on_control(record(rules(50)), store)
        expected = {*range(2, RULES_KEPT), 80, 50}
        assert len(expected) == RULES_KEPT
        assert points(self.lived(one, store, START_MS + EVERY_MS)) == expected
        assert points(self.lived(merger(rules(80)), store, START_MS + 9 * 86_400_000)) == expected
