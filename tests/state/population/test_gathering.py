"""What places gather of messages, interval by interval: in the end as if there were one place and one interval."""

from random import Random

import pytest
from msgspec.structs import replace
from told_messages import CLUSTERS, Tellers

from state.local_population import ListStore, Timers
from state.packing import pack
from state.population.gather import gathered, merged
from state.population.gathering import GatherLogic, Parcel
from state.population.refusal import PopulationError
from state.population.sample import customer_hash
from state.population.snapshots import Message

EVERY_MS = 600_000
START_MS = 1_750_000_000_000 // EVERY_MS * EVERY_MS
NO_TIME_MS = -(1 << 63)
END_MS = (1 << 63) - 1


def message(at_ms: int, seed: int = 1) -> bytes:
    return Tellers(Random(seed)).message(at_ms).packed()


class TestTogether:
    @pytest.mark.parametrize("seed", range(12))
    def test_any_places_and_intervals(self, seed: int) -> None:
        """Parcels of an interval hold what is of it, all of that once, by whichever places and watermarks it came."""
        random = Random(seed)
        tellers, places = Tellers(random), random.randint(1, 4)
        logic = GatherLogic(CLUSTERS, EVERY_MS)
        stores, timers = [ListStore() for _ in range(places)], Timers()
        told: dict[int, list[Message]] = {}
        parcels: dict[int, list[Parcel]] = {}
        now_ms = START_MS
        for last in (*[False] * 80, True):
            now_ms = now_ms + random.choice((0, 1, 30_000, EVERY_MS // 2, 3 * EVERY_MS)) if not last else END_MS
            for at_ms, place in timers.due(now_ms):
                come = [Parcel.unpacked(one) for one in logic.on_time(at_ms, now_ms, stores[int(place)])]
                assert [one.at_ms for one in come] == sorted({one.at_ms for one in come})
                assert all(at_ms <= one.at_ms <= now_ms for one in come)
                for one in come:
                    parcels.setdefault(one.at_ms, []).append(one)
            if last:
                break
            message = tellers.message(now_ms + random.choice((0, -5_000, 5_000, EVERY_MS)))
            place_at = int(message.customer_id[1:]) % places  # a customer is at one place
            # late ones are of the interval that is under way
            end_ms = (max(message.as_of_ms, now_ms) // EVERY_MS + 1) * EVERY_MS
            assert logic.on_message(message.packed(), now_ms, stores[place_at]) == end_ms
            timers.register(end_ms, str(place_at))
            told.setdefault(end_ms, []).append(message)
        assert parcels.keys() == told.keys()
        for at_ms, ones in parcels.items():
            assert len(ones) <= places
            random.shuffle(ones)
            found = merged(one.opened(CLUSTERS) for one in ones)
            assert found.packed() == gathered(CLUSTERS, told[at_ms]).packed()


class TestOtherAxes:
    """A job goes on with more or fewer of them, and with what waited as it was stopped."""

    def test_what_was_not_put_together_yet(self) -> None:
        """Counts, outcomes and erasures are as they were; where the customers lie is not known any more."""
        tellers = Tellers(Random(1), customers=None)
        told = [tellers.message(START_MS + at) for at in range(40)]
        odd = {one.customer_id for at, one in enumerate(told) if at % 3 == 0 and one.point is not None}
        fewer = [one._replace(point=(1.0, 2.0)) if one.customer_id in odd else one for one in told]
        logic, store = GatherLogic(CLUSTERS, EVERY_MS), ListStore()
        for one in fewer:
            logic.on_message(one.packed(), START_MS, store)
        (packed,) = logic.on_time(START_MS + EVERY_MS, START_MS + EVERY_MS, store)
        found = Parcel.unpacked(packed).opened(CLUSTERS)
        whole = gathered(CLUSTERS, told)
        assert found.deltas.packed() == whole.deltas.packed()
        assert (found.examples, found.gone) == (whole.examples, whole.gone)
        assert whole.gone
        there = {customer_hash(one.customer_id) for one in told if one.point and one.customer_id not in odd}
        assert {hashed for hashed, _ in found.intake.sample.by_hash()} == set(sorted(there)[: CLUSTERS.sample_size])
        assert 0 < len(odd) < len(there)

    def test_what_was(self) -> None:
        """The same of a parcel: its places are let go of."""
        tellers = Tellers(Random(1), customers=None)
        whole = gathered(CLUSTERS, [tellers.message(START_MS + at) for at in range(40)])
        other = replace(CLUSTERS, scaling=replace(CLUSTERS.scaling, axes=CLUSTERS.scaling.axes[:2]))
        found = Parcel(START_MS, whole.packed()).opened(other)
        assert found.deltas.packed() == whole.deltas.packed()
        assert (found.examples, found.gone) == (whole.examples, whole.gone)
        assert len(whole.intake.sample) == CLUSTERS.sample_size
        assert len(found.intake.sample) == found.intake.snapshots == 0
        assert merged([found, gathered(other, [])]).intake.sample.axes == 2


class TestTime:
    def test_before_the_first_watermark(self) -> None:
        """Only the messages know what time it is; after that they may be behind."""
        logic, store = GatherLogic(CLUSTERS, EVERY_MS), ListStore()
        for watermark_ms in (NO_TIME_MS, -5_000, -1, 0):
            assert logic.on_message(message(START_MS + 7), watermark_ms, store) == START_MS + EVERY_MS
        assert logic.on_message(message(START_MS - 7), START_MS, store) == START_MS + EVERY_MS
        assert len(store.pending()) == 5

    def test_nothing_waits(self) -> None:
        """Nobody is told of an interval in which nobody spoke."""
        logic, store = GatherLogic(CLUSTERS, EVERY_MS), ListStore()
        assert logic.on_time(START_MS, START_MS, store) == []
        logic.on_message(message(START_MS), START_MS, store)
        assert len(logic.on_time(START_MS + EVERY_MS, START_MS + EVERY_MS, store)) == 1
        assert logic.on_time(START_MS + 2 * EVERY_MS, END_MS, store) == []

    @pytest.mark.parametrize(("as_of_ms", "expected"), [(1, 1), (EVERY_MS, EVERY_MS), (EVERY_MS + 1, EVERY_MS)])
    def test_no_later_than_the_end(self, as_of_ms: int, expected: int) -> None:
        """Of a bounded run."""
        store, logic = ListStore(), GatherLogic(CLUSTERS, EVERY_MS, START_MS + as_of_ms)
        at_ms = logic.on_message(message(START_MS), START_MS, store)
        (packed,) = logic.on_time(at_ms, END_MS, store)
        assert Parcel.unpacked(packed).at_ms == START_MS + expected


def test_newer_bytes_are_refused() -> None:
    """With a word about it."""
    with pytest.raises(PopulationError, match="version 99"):
        Parcel.unpacked(pack([99, 1, b""]))
