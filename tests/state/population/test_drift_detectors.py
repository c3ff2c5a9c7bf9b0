"""Both detectors against River's own, number for number, and across restarts."""

from collections.abc import Callable, Iterator
from random import Random

import pytest
from river import drift

from state.packing import pack, unpack
from state.population.detectors import Adwin, Detector, PageHinkley
from state.population.refusal import PopulationError


def steady(rng: Random) -> Iterator[float]:
    for _ in range(6_000):
        yield rng.random()


def shifted(rng: Random) -> Iterator[float]:
    for number in range(6_000):
        yield rng.betavariate(2, 6 if number // 1_500 % 2 else 3)


def sloping(rng: Random) -> Iterator[float]:
    for number in range(6_000):
        yield 0.2 + number / 10_000 + rng.random() / 10


def constant_then_another(rng: Random) -> Iterator[float]:
    for number in range(3_000):
        yield 0.25 if number < 2_000 else 0.75


def unbounded(rng: Random) -> Iterator[float]:
    for _ in range(6_000):
        yield rng.paretovariate(1.1) - rng.paretovariate(1.1)


STREAMS: list[Callable[[Random], Iterator[float]]] = [steady, shifted, sloping, constant_then_another, unbounded]


class TestAdwin:
    @pytest.mark.parametrize("stream", STREAMS)
    @pytest.mark.parametrize("delta", [0.002, 0.3])
    def test_it_takes_the_steps_of_river(self, stream, delta: float) -> None:
        """Alarms, window and mean are equal after every value, to the last bit."""
        mine, theirs = Adwin(delta), drift.ADWIN(delta=delta)
        for value in stream(Random(17)):
            theirs.update(value)
            assert mine.update(value) == theirs.drift_detected
            assert (mine.width, mine.mean) == (theirs.width, theirs.estimation)

    def test_a_change_is_seen(self) -> None:
        """Once per step of the mean; four steps of 1,500 values, so three changes."""
        detector = Adwin(0.002)
        seen = [number for number, value in enumerate(shifted(Random(17))) if detector.update(value)]
        assert {number // 1_500 for number in seen} == {1, 2, 3}

    def test_the_bound(self) -> None:
        """Six summaries for each doubling of the window, 19 bytes each at most, and 40 beside them."""
        detector = Adwin(1e-12)
        for value in steady(Random(1)):
            detector.update(value)
        assert detector.width == 6_000
        assert len(detector.packed()) <= 40 + 13 * (6 * 19 + 1)


class TestPageHinkley:
    @pytest.mark.parametrize("stream", STREAMS)
    @pytest.mark.parametrize("threshold", [5.0, 50.0])
    def test_it_takes_the_steps_of_river(self, stream, threshold: float) -> None:
        mine, theirs = PageHinkley(threshold), drift.PageHinkley(threshold=threshold)
        for value in stream(Random(23)):
            theirs.update(value)
            assert mine.update(value) == theirs.drift_detected
            assert mine.mean == theirs._x_mean.get()

    def test_a_change_is_seen(self) -> None:
        detector = PageHinkley(20.0)
        seen = [number for number, value in enumerate(shifted(Random(17))) if detector.update(value)]
        assert {number // 1_500 for number in seen} >= {1, 2, 3}


def adwin(packed: bytes | None = None) -> Detector:
    return Adwin(0.05, packed)


def page_hinkley(packed: bytes | None = None) -> Detector:
    return PageHinkley(5.0, packed)


class TestRestarts:
    @pytest.mark.parametrize("stream", STREAMS)
    @pytest.mark.parametrize("made", [adwin, page_hinkley])
    def test_a_restored_one_goes_on_exactly(self, made, stream) -> None:
        """Restored now and then, right after an alarm among others: the same alarms, the same bytes."""
        one = other = made()
        rng = Random(3)
        for number, value in enumerate(stream(Random(29))):
            alarm = one.update(value)
            if other is not one:
                assert other.update(value) == alarm
            if alarm or number == 0 or rng.random() < 0.02:
                other = made(one.packed())
        assert other.packed() == one.packed()

    @pytest.mark.parametrize("made", [adwin, page_hinkley])
    def test_what_is_no_state_is_refused(self, made) -> None:
        for packed in (b"", pack([1]), pack([1, 2, 3])):
            with pytest.raises(PopulationError, match="cannot be read"):
                made(packed)

    @pytest.mark.parametrize("made", [adwin, page_hinkley])
    def test_a_newer_one_is_refused(self, made) -> None:
        version, *fields = unpack(made().packed())
        with pytest.raises(PopulationError, match="version 2 found"):
            made(pack([version + 1, *fields]))
