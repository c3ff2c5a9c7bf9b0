"""The bounded sample of customers."""

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from state.packing import pack
from state.population.refusal import ClusterStateError
from state.population.sample import Sample, customer_hash

steps = st.lists(st.tuples(st.integers(0, 30), st.integers(0, 5), st.integers(0, 3)), max_size=60)
"""Hash, time, place."""


def filled(entries: list[tuple[int, int, int]], size: int = 7) -> Sample:
    sample = Sample(size, 1)
    for hashed, as_of_ms, place in entries:
        sample.add(hashed, as_of_ms, (float(place),))
    return sample


class TestSample:
    @given(steps)
    @settings(max_examples=200, deadline=None, derandomize=True)
    def test_it_holds_the_smallest_hashes_as_of_their_newest_snapshots(
        self, entries: list[tuple[int, int, int]]
    ) -> None:
        newest: dict[int, tuple[int, tuple[float]]] = {}
        for hashed, as_of_ms, place in entries:
            newest[hashed] = max(newest.get(hashed, (-1, (0.0,))), (as_of_ms, (float(place),)))
        assert list(filled(entries).by_hash()) == sorted(newest.items())[:7]

    @given(steps, st.randoms(use_true_random=False), st.integers(0, 60))
    @settings(max_examples=200, deadline=None, derandomize=True)
    def test_neither_order_nor_division_matter(
        self, entries: list[tuple[int, int, int]], random: Random, cut: int
    ) -> None:
        shuffled = entries.copy()
        random.shuffle(shuffled)
        parts = filled(shuffled[:cut])
        parts.merge(Sample.unpacked(filled(shuffled[cut:]).packed()))
        assert parts.packed() == filled(entries).packed()

    def test_whoever_is_forgotten_is_gone_and_the_next_ones_may_come(self) -> None:
        sample = filled([(hashed, 5, 1) for hashed in range(20)])
        sample.forget(3)
        assert [hashed for hashed, _ in sample.by_hash()] == [0, 1, 2, 4, 5, 6]
        assert sample.wants(19)
        sample.add(19, 6, (2.0,))
        assert [hashed for hashed, _ in sample.by_hash()] == [0, 1, 2, 4, 5, 6, 19]

    @pytest.mark.parametrize("seed", range(20))
    def test_who_is_wanted_as_they_come_and_go(self, seed: int) -> None:
        """Whoever would be among the smallest; those who are in it and gone again made room for anybody."""
        random, sample, known = Random(seed), Sample(7, 1), dict[int, tuple[int, tuple[float]]]()
        for at_ms in range(200):
            hashed = random.randrange(40)
            if random.random() < 0.2:
                sample.forget(hashed)
                known.pop(hashed, None)
            elif random.random() < 0.05:
                sample.forget_before(at_ms - 20)
                known = {one: entry for one, entry in known.items() if entry[0] >= at_ms - 20}
            elif len(known) < 7 or hashed <= max(known):
                known = dict(sorted({**known, hashed: (at_ms, (1.0,))}.items())[:7])
                sample.add(hashed, at_ms, (1.0,))
            assert dict(sample.by_hash()) == known
            assert (sample.get(hashed) is None) is (hashed not in known)
            wanted = [one for one in range(40) if sample.wants(one)]
            assert wanted == [one for one in range(40) if len(known) < 7 or one <= max(known)]

    def test_whoever_was_not_seen_for_long_is_gone(self) -> None:
        sample = filled([(1, 10, 0), (2, 20, 0), (3, 30, 0)])
        sample.forget_before(20)
        assert [hashed for hashed, _ in sample.by_hash()] == [2, 3]

    def test_who_is_not_wanted_is_never_in_it(self) -> None:
        """So that nobody else's features need to be read."""
        sample = filled([(hashed, 5, 1) for hashed in range(10, 20)])
        assert len(sample) == 7
        assert [hashed for hashed in range(30) if sample.wants(hashed)] == list(range(17))

    def test_who_was_seen_in_both(self) -> None:
        sample, interval = filled([(1, 5, 1), (2, 5, 2), (3, 5, 3)]), filled([(3, 5, 9), (1, 5, 9), (8, 5, 9)])
        assert sample.among(interval).tolist() == [[1.0], [3.0]]

    def test_hashes_are_the_same_everywhere(self) -> None:
        """They decide who is in a sample, so they never change."""
        assert customer_hash("c-17") == int.from_bytes(
            __import__("hashlib").blake2b(b"c-17", digest_size=8).digest(), "big"
        )
        assert customer_hash("\ud800") != customer_hash("")

    def test_hashes_are_even(self) -> None:
        """A sample is a fair one: of 20,000 ids, those below a quarter are a quarter, within 5 standard deviations."""
        below = sum(customer_hash(f"c{at:06d}") < 1 << 62 for at in range(20_000))
        assert abs(below - 5_000) <= 5 * (20_000 * 0.25 * 0.75) ** 0.5

    def test_newer_and_damaged_ones_are_refused(self) -> None:
        with pytest.raises(ClusterStateError, match="upgrade the program"):
            Sample.unpacked(pack((2, 1, 1, b"", b"", b"")))
        with pytest.raises(ClusterStateError, match="damaged"):
            Sample.unpacked(pack((1, 4, 2, bytes(8), bytes(8), bytes(8))))
