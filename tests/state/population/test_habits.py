"""Customers go on as they did, or do not: when that is said, and when not."""

from collections.abc import Iterator

import msgspec
import numpy as np
import pytest
from habit_shop import Shop, place

from schemas.settings import DAY_MS
from state.packing import pack, unpack
from state.population.axes import Axis, slog
from state.population.default_axes import DEFAULT_AXES
from state.population.habits import Habits, Move, counted_parts
from state.population.refusal import PopulationError

RATIO = "carts per view"


def made(packed: bytes | None = None, least: int = 100) -> Habits:
    return Habits(DEFAULT_AXES, doubt=4.5, least=least, recent_ms=7 * DAY_MS, packed=packed)


def days(shop: Shop, number: int, first: int = 0, newcomers: int = 10) -> Iterator[tuple[list[Move], int]]:
    for day in range(first, first + number):
        yield shop.day(newcomers), (20_000 + day) * DAY_MS


class TestAlarms:
    @pytest.mark.parametrize("seed", range(6))
    def test_who_goes_on_as_before_raises_none(self, seed: int) -> None:
        habits = made()
        assert not any(habits.on_batch(*batch) for batch in days(Shop(seed), 90))

    @pytest.mark.parametrize("seed", range(6))
    def test_a_change_of_ways_is_seen_within_days(self, seed: int) -> None:
        """Though as many as before fill carts, all in all."""
        habits, shop = made(), Shop(seed)
        for batch in days(shop, 40):
            habits.on_batch(*batch)
        shop.turn_round()
        found = [habits.on_batch(*batch) for batch in days(shop, 4, 40)]
        seen = next(one for one in found if one)
        assert RATIO in seen
        was, now = seen[RATIO]
        assert 1 > was > now

    def test_others_who_come_are_no_change_of_ways(self) -> None:
        """A flood of those who only look: as many as there were, within a week."""
        habits, shop = made(), Shop(1)
        for batch in days(shop, 40):
            habits.on_batch(*batch)
        shop.keen_share = 0.0
        assert not any(habits.on_batch(*batch) for batch in days(shop, 7, 40, newcomers=60))

    def test_too_few_say_nothing(self) -> None:
        habits, shop = made(least=2_000), Shop(1)
        for batch in days(shop, 40):
            habits.on_batch(*batch)
        shop.turn_round()
        assert not any(habits.on_batch(*batch) for batch in days(shop, 7, 40))

    def test_what_was_is_forgotten(self) -> None:
        """After a new start there is nothing to fall from."""
        habits, shop = made(), Shop(1)
        for batch in days(shop, 40):
            habits.on_batch(*batch)
        shop.turn_round()
        habits.start_anew()
        assert not any(habits.on_batch(*batch) for batch in days(shop, 7, 40))

    def test_without_a_present_nothing_is_said(self) -> None:
        """With `habit_ms = 0` all is of the time before: so this alarm is turned off."""
        habits, shop = Habits(DEFAULT_AXES, doubt=4.5, least=100, recent_ms=0), Shop(1)
        for batch in days(shop, 40):
            assert not habits.on_batch(*batch)
        shop.turn_round()
        assert not any(habits.on_batch(*batch) for batch in days(shop, 7, 40))

    def test_the_correlations_are_those_of_numpy(self) -> None:
        """Two batches, eight days apart: the first is what was, as it was; the second what is."""
        habits, shop = made(least=10), Shop(2)
        [*_, (first, _)] = days(shop, 30)
        shop.turn_round()
        second = [move for moves, _ in days(shop, 3) for move in moves]
        habits.on_batch(first, 100 * DAY_MS)
        habits._doubt = -10.0
        found = habits.on_batch(second, 108 * DAY_MS)
        for moves, told in zip((first, second), found[RATIO], strict=True):
            rows = []
            for before, now in moves:
                views = np.expm1(now[0]) - np.expm1(before[0])
                carts = np.expm1(now[0] + now[1]) - np.expm1(before[0] + before[1])
                if before[0] > 0:
                    rows.append((before[1], np.log1p(carts) - np.log1p(views)))
            assert told == pytest.approx(np.corrcoef(np.array(rows).T)[0, 1], abs=1e-9)


class TestAxes:
    def test_which_can_be_followed(self) -> None:
        """Counts, and ratios whose divisor is an axis: of carts per view, views and the ratio add up to the carts."""
        assert counted_parts(DEFAULT_AXES) == {
            0: ((0,), ()),
            1: ((0, 1), (0,)),
            2: ((0, 1, 2), (0, 1)),
            3: ((3,), ()),
        }

    def test_a_ratio_to_something_else_cannot(self) -> None:
        axes = (DEFAULT_AXES[2], msgspec.structs.replace(DEFAULT_AXES[1], per_unit=2.0), DEFAULT_AXES[0])
        assert counted_parts(axes) == {2: ((2,), ())}

    def test_who_did_nothing_new_does_not_count(self) -> None:
        """A look at someone who stays away, and windows that empty."""
        habits = made(least=1)
        for day in range(20):
            assert not habits.on_batch([Move(place([9, 3]), place([5, 1]))] * 50, day * DAY_MS)
        assert unpack(habits.packed())[2] == [[0.0] * 6] * 4

    def test_endless_counts_do_no_harm(self) -> None:
        axis = Axis(name="a", feature="views_90d", topic="a", high="h", low="l")
        habits = Habits([axis], doubt=4.5, least=10, recent_ms=DAY_MS)
        for day in range(30):
            moves = [Move((slog(1e18 * number),), (slog(1e18 * number * 2),)) for number in range(50)]
            assert not habits.on_batch(moves, day * DAY_MS)


class TestState:
    def test_it_goes_on_exactly(self) -> None:
        steady, restarted = made(), made()
        shop = Shop(3)
        for at, batch in enumerate(days(shop, 45)):
            if at == 40:
                shop.turn_round()
            found = steady.on_batch(*batch)
            restarted = made(restarted.packed())
            assert restarted.on_batch(*batch) == found
        assert steady.packed() == restarted.packed()

    def test_it_does_not_grow(self) -> None:
        habits, shop = made(), Shop(1)
        sizes = []
        for batch in days(shop, 60):
            habits.on_batch(*batch)
            sizes.append(len(habits.packed()))
        assert sizes[-1] <= sizes[10] + 100
        assert sizes[-1] < 4_000

    def test_of_other_axes_nothing_is_kept(self) -> None:
        habits = made()
        for batch in days(Shop(1), 20):
            habits.on_batch(*batch)
        other = Habits(DEFAULT_AXES[:2], doubt=4.5, least=100, recent_ms=7 * DAY_MS, packed=habits.packed())
        assert other.packed() == Habits(DEFAULT_AXES[:2], doubt=4.5, least=100, recent_ms=7 * DAY_MS).packed()

    def test_a_newer_state_is_refused(self) -> None:
        version, *fields = unpack(made().packed())
        with pytest.raises(PopulationError, match="version 2 found"):
            made(pack([version + 1, *fields]))
