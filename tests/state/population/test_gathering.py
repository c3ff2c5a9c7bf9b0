"""What places gather of messages, interval by interval: in the end as if there were one place and one interval."""

from random import Random

import pytest
from told_messages import CLUSTERS, Tellers

from state.local_population import ListStore, Timers
from state.packing import pack
from state.population.gather import gathered, merged
from state.population.gathering import GatherLogic, Parcel
from state.population.refusal import PopulationError
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
        """Parcels of an interval hold what came in it, all of that once, whichever places it came by."""
        random = Random(seed)
        tellers, places = Tellers(random), random.randint(1, 4)
        logic = GatherLogic(CLUSTERS, EVERY_MS)
        stores, timers = [ListStore() for _ in range(places)], Timers()
        came: dict[int, list[Message]] = {}
        parcels: dict[int, list[Parcel]] = {}
        now_ms = START_MS
        for _ in range(80):
            now_ms += random.choice((0, 1, 30_000, EVERY_MS // 2, EVERY_MS))
            for at_ms, place in timers.due(now_ms):
                packed = logic.on_time(at_ms, stores[int(place)])
                assert packed is not None
                parcels.setdefault(at_ms, []).append(Parcel.unpacked(packed))
                assert logic.on_time(at_ms, stores[int(place)]) is None
            told = tellers.message(now_ms - random.choice((0, 5_000)))
            place_at = hash_of(told.customer_id) % places  # a customer is at one place
            end_ms = logic.on_message(told.packed(), now_ms, stores[place_at])
            assert end_ms % EVERY_MS == 0
            assert now_ms < end_ms <= now_ms + EVERY_MS
            timers.register(end_ms, str(place_at))
            came.setdefault(end_ms, []).append(told)
        for at_ms, place in timers.due(END_MS):
            parcels.setdefault(at_ms, []).append(Parcel.unpacked(logic.on_time(at_ms, stores[int(place)]) or b""))
        assert parcels.keys() == came.keys()
        for at_ms, ones in parcels.items():
            assert {one.at_ms for one in ones} == {at_ms}
            random.shuffle(ones)
            found = merged(one.opened(CLUSTERS) for one in ones)
            assert found.packed() == gathered(CLUSTERS, came[at_ms]).packed()


def hash_of(customer_id: str) -> int:
    return int(customer_id[1:])


class TestTime:
    def test_before_the_first_watermark(self) -> None:
        """Only the messages know what time it is; a watermark below nought knows nothing either."""
        logic, store = GatherLogic(CLUSTERS, EVERY_MS), ListStore()
        for watermark_ms in (NO_TIME_MS, -5_000, -1):
            assert logic.on_message(message(START_MS + 7), watermark_ms, store) == START_MS + EVERY_MS
        assert logic.on_message(message(START_MS + 7), 0, store) == EVERY_MS
        assert logic.on_message(message(START_MS - 7), START_MS, store) == START_MS + EVERY_MS
        assert len(store.pending()) == 5

    def test_nothing_waits(self) -> None:
        """Nobody is told of an interval in which nobody spoke."""
        logic, store = GatherLogic(CLUSTERS, EVERY_MS), ListStore()
        assert logic.on_time(START_MS, store) is None
        logic.on_message(message(START_MS), START_MS, store)
        assert logic.on_time(START_MS + EVERY_MS, store) is not None
        assert logic.on_time(START_MS + 2 * EVERY_MS, store) is None

    @pytest.mark.parametrize("ahead_ms", [-1, 0, 1])
    def test_no_later_than_the_end(self, ahead_ms: int) -> None:
        """Of a bounded run."""
        store = ListStore()
        store.append(message(START_MS))
        packed = GatherLogic(CLUSTERS, EVERY_MS, START_MS).on_time(START_MS + ahead_ms, store)
        assert packed is not None
        assert Parcel.unpacked(packed).at_ms == START_MS + min(0, ahead_ms)


def test_newer_bytes_are_refused() -> None:
    """With a word about it."""
    with pytest.raises(PopulationError, match="version 99"):
        Parcel.unpacked(pack([99, 1, b""]))
