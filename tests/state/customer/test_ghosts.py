"""What stays after an erasure."""

import pytest

from schemas.facts import Fact, Kind
from state.customer.ghosts import Ghosts
from state.dict_chunks import DictChunkStore
from state.packing import pack, unpack


def fact(time_ms: int, event_id: str, kind: Kind = Kind.PRODUCT_VIEWED) -> Fact:
    return Fact(time_ms, event_id, kind)


def erased(at_ms: int = 100) -> Ghosts:
    ghosts = Ghosts()
    ghosts.add(fact(at_ms, "m", Kind.ERASE), {"a", "b"}, 2, 1)
    return ghosts


class TestGhosts:
    def test_without_an_erasure_there_is_nothing(self) -> None:
        assert not Ghosts().hashes
        assert not Ghosts().knows(fact(0, "a"))

    def test_what_was_erased_stays_known(self) -> None:
        """The erasure's own event, too: it may be delivered again."""
        ghosts = erased()
        assert ghosts.hashes
        assert all(ghosts.knows(fact(50, event_id)) for event_id in ("a", "b", "m"))
        assert not ghosts.knows(fact(50, "c"))

    def test_it_covers_what_lies_before_it_in_event_order(self) -> None:
        ghosts = erased()
        assert ghosts.covers(fact(99, "z"))
        assert ghosts.covers(fact(100, "l"))
        assert ghosts.covers(fact(100, "m", Kind.ERASE))
        assert not ghosts.covers(fact(100, "n"))
        assert not ghosts.covers(fact(101, "a"))

    def test_what_it_covers_is_counted_once_and_known(self) -> None:
        ghosts = erased()
        late = fact(99, "z")
        assert not ghosts.knows(late)
        ghosts.covers(late)
        assert ghosts.knows(late)
        assert (ghosts.applied, ghosts.suppressed) == (3, 1)

    def test_the_newest_erasure_counts_in_whatever_order_they_come(self) -> None:
        ghosts = erased(100)
        ghosts.add(fact(80, "k", Kind.ERASE), {"c"}, 1, 0)
        assert ghosts.erased == (100, "m")
        ghosts.add(fact(120, "o", Kind.ERASE), set(), 1, 0)
        assert ghosts.erased == (120, "o")
        assert ghosts.knows(fact(0, "c"))

    def test_it_fades_once_nothing_of_before_can_arrive(self) -> None:
        """An event at the very limit is still in time, so what is at the limit stays."""
        ghosts = erased(100)
        ghosts.fade(100)
        assert ghosts.hashes
        assert ghosts.knows(fact(50, "a"))
        ghosts.fade(101)
        assert not ghosts.hashes
        assert not ghosts.knows(fact(50, "a"))
        assert (ghosts.applied, ghosts.suppressed) == (2, 1)

    @pytest.mark.parametrize("ids", [2, 1_000])
    def test_packed_and_unpacked(self, ids: int) -> None:
        """Few hashes lie inline, many beside it, and there no longer than needed."""
        store = DictChunkStore()
        ghosts = Ghosts()
        ghosts.add(fact(100, "m", Kind.ERASE), {f"id{number}" for number in range(ids)}, 2, 1)
        packed = pack(ghosts.save(store))
        assert len(packed) < 600
        assert bool(store) == (ids > 2)
        again = Ghosts()
        again.load(unpack(packed), store)
        assert again.erased == (100, "m")
        assert again.hashes == ghosts.hashes
        assert again.knows(fact(50, "id1"))
        assert (again.applied, again.suppressed) == (2, 1)
        again.fade(101)
        again.save(store)
        assert not store

    def test_no_event_id_can_be_read_from_it(self) -> None:
        ghosts = Ghosts()
        ghosts.add(fact(100, "m", Kind.ERASE), {"order-of-somebody"}, 1, 0)
        assert b"somebody" not in pack(ghosts.save(DictChunkStore()))
