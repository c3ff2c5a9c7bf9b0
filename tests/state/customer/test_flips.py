"""When time alone changes an answer: foretold never too late, against looking at every moment that can matter."""

from collections.abc import Callable
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nasty_streams import SPICES, nasty_stream

from schemas.decode import Decoder
from schemas.facts import Kind
from schemas.settings import DAY_MS, MINUTE_MS, Settings
from state.customer.counts import NEVER_MS, WINDOWS_MS
from state.customer.features import Reader, reader
from state.customer.flips import NextFlip, next_flip_of
from state.customer.fold import Fold
from state.dict_chunks import DictChunkStore
from state.packing import pack, unpack
from state.rules.atoms import Atom, Bearing
from state.rules.features import FEATURES
from state.rules.ruleset import parse_rules

SETTINGS = Settings()
DECODE = Decoder(SETTINGS, lambda: 2_000_000_000_000).decode
DRIFTING = sorted(name for name, spec in FEATURES.items() if spec.drift != "static")
SPAN_MS = 120 * DAY_MS
# as rules have them: what never goes below zero is never compared with it (see state/rules/atoms.py)
THRESHOLDS: dict[str, st.SearchStrategy[float]] = {
    "count": st.integers(1, 6),
    "sum": st.sampled_from([-2_000, -1, 0, 1, 999, 2_000, 5_000, MINUTE_MS, 90 * MINUTE_MS]),
    "age": st.sampled_from([1, MINUTE_MS, DAY_MS, 10 * DAY_MS, 61 * DAY_MS]),
    "decay": st.sampled_from([5e-324, 1e-310, 1e-6, 0.25, 0.999, 1.0, 2.5, 8.0]),
}


def for_all(atoms: list[Atom]) -> dict[Atom, Bearing]:
    """Atoms that matter whatever the customer's segments are."""
    return dict.fromkeys(atoms, Bearing(1, 1))


def folded(seed: int, length: int, spice: str) -> Fold:
    """What is left of one customer's odd events, in order."""
    fold, store = Fold(SETTINGS), DictChunkStore()
    lines = nasty_stream(Random(seed), length, SPICES[spice], subjects=1)
    facts = {fact.event_id: fact for _, fact in map(DECODE, lines)}
    for fact in sorted(facts.values(), key=lambda one: (one.time_ms, one.event_id)):
        fold.advance(fact.time_ms)
        if fact.kind == Kind.ERASE:
            fold.erase(store)
            fold.clock_ms = fact.time_ms
        else:
            fold.apply(fact)
    return fold


def twin(fold: Fold) -> Fold:
    store, again = DictChunkStore(), Fold(SETTINGS)
    again.load(unpack(pack(fold.save(store))), store)
    return again


def moments(fold: Fold, now_ms: int) -> list[int]:
    """Around each moment at which anything in the fold can leave, turn, or come of age; and a grid between them."""
    times = [fold.first_seen_ms or 0, fold.last_seen_ms or 0, fold.orders.newest_ms or 0]
    for counter in (fold.views, fold.cart_adds, fold.searches, fold.wishlist_adds):
        times += counter.column.values
    times += [*fold.sessions.starts.values, *(order[0] for order in fold.orders.column.values)]
    times += [orphan[0][0] for orphan in fold.orders.orphans]
    delays = {*WINDOWS_MS, 30 * MINUTE_MS, 0, 1, MINUTE_MS, DAY_MS, 10 * DAY_MS, 61 * DAY_MS}
    found = {time_ms + delay + beside for time_ms in times for delay in delays for beside in (-1, 0, 1)}
    found |= {now_ms + step * DAY_MS // 7 for step in range(1, 7 * 60)}
    return sorted(at for at in found if now_ms < at <= now_ms + SPAN_MS)


def first_change(fold: Fold, now_ms: int, answer: Callable[[Fold, int], object]) -> int:
    later = twin(fold)
    later.advance(now_ms)
    before = answer(later, now_ms)
    for at_ms in moments(fold, now_ms):
        later.advance(at_ms)
        if answer(later, at_ms) != before:
            return at_ms
    return NEVER_MS


class TestNeverTooLate:
    @settings(max_examples=100, deadline=None, derandomize=True)
    @given(
        st.integers(0, 1 << 32),
        st.integers(1, 25),
        st.sampled_from(["windows", "orders-again", "sessions-return", "busy"]),
        st.data(),
    )
    def test_any_atoms(self, seed: int, length: int, spice: str, data: st.DataObject) -> None:
        """Some atoms together, after any events and some time: the foretold moment is not after the first change."""
        fold = folded(seed, length, spice)
        if fold.last_seen_ms is None:
            return
        now_ms = fold.clock_ms + data.draw(st.sampled_from([0, 0, 1, DAY_MS, 8 * DAY_MS]))
        fold.advance(now_ms)
        names = data.draw(st.lists(st.sampled_from(DRIFTING), min_size=1, max_size=3, unique=True))
        atoms = []
        for name in names:
            drift = FEATURES[name].drift
            if drift == "appears":
                atoms.append(Atom(name, None))
                continue
            any_change = drift in ("count", "sum") and data.draw(st.booleans())
            drawn = (
                [None] if any_change else data.draw(st.lists(THRESHOLDS[drift], min_size=1, max_size=3, unique=True))
            )
            atoms += [Atom(name, threshold) for threshold in drawn]
        read = reader(names)
        foretold_ms = next_flip_of(for_all(atoms), names)(fold, now_ms, read(fold, now_ms), 0)
        assert foretold_ms > now_ms
        for atom in atoms:
            value = reader([atom.feature])

            def answer(fold: Fold, at_ms: int, atom: Atom = atom, value: Callable = value) -> object:  # type: ignore[type-arg]
                (found,) = value(fold, at_ms)
                return found if atom.threshold is None else found is not None and found >= atom.threshold

            if atom.feature == "engagement":
                assert_decay(fold, now_ms, atom.threshold, foretold_ms)
            else:
                assert foretold_ms <= first_change(fold, now_ms, answer), atom

    @pytest.mark.parametrize("seed", range(6))
    def test_several_thresholds_of_one_count(self, seed: int) -> None:
        """Of all that are met, the highest one is the first to be missed."""
        fold = folded(seed, 40, "busy")
        now_ms = fold.clock_ms
        met = 0
        for name in [one for one in DRIFTING if FEATURES[one].drift == "count"]:
            read = reader([name])
            thresholds = (1, 2, 3, 5, 8)
            foretold_ms = next_flip_of(for_all([Atom(name, one) for one in thresholds]), [name])(
                fold, now_ms, read(fold, now_ms), 0
            )
            changes = [
                first_change(fold, now_ms, lambda fold, at_ms, one=one, read=read: read(fold, at_ms)[0] >= one)  # type: ignore[misc]
                for one in thresholds
            ]
            assert foretold_ms == min(changes), name
            met += read(fold, now_ms)[0] >= 2
        assert met

    @pytest.mark.parametrize("threshold", [1e-6, 0.25, 0.999, 1.0, 2.5, 4.0])
    @pytest.mark.parametrize("seed", range(4))
    def test_a_decayed_score_is_looked_at_in_its_very_millisecond(self, seed: int, threshold: float) -> None:
        """Or in the one before it: the score is still above one millisecond earlier."""
        fold = folded(seed, 40, "busy")
        read, now_ms = reader(["engagement"]), fold.clock_ms
        if read(fold, now_ms)[0] < threshold:
            pytest.skip("the score is lower")
        foretold_ms = next_flip_of(for_all([Atom("engagement", threshold)]), ["engagement"])(
            fold, now_ms, read(fold, now_ms), 0
        )
        assert read(fold, foretold_ms - 1)[0] >= threshold
        assert read(fold, foretold_ms + 1)[0] < threshold


def assert_decay(fold: Fold, now_ms: int, threshold: float, foretold_ms: int) -> None:
    """The score only falls: at the millisecond before the foretold one it must not have crossed yet."""
    read = reader(["engagement"])
    if read(fold, now_ms)[0] >= threshold and now_ms < foretold_ms - 1 < now_ms + SPAN_MS:
        assert read(fold, foretold_ms - 1)[0] >= threshold


class TestExact:
    def test_it_does_not_wake_far_too_early(self) -> None:
        """From one foretold moment to the next the rules of a shop wake a customer a few times, not at every minute."""
        fold = folded(2, 25, "orders-again")
        atoms = [Atom("orders_7d", 2), Atom("engagement", 1.0), Atom("orders_30d", 1), Atom("recency_ms", 10 * DAY_MS)]
        names = sorted({atom.feature for atom in atoms})
        read, next_flip = reader(names), next_flip_of(for_all(atoms), names)
        now_ms, woken = fold.clock_ms, 0
        while True:
            now_ms = next_flip(fold, now_ms, read(fold, now_ms), 0)
            if now_ms == NEVER_MS:
                break
            fold.advance(now_ms)
            woken += 1
        assert 1 <= woken <= 8

    def test_without_atoms_nothing_is_foretold(self) -> None:
        assert next_flip_of({}, [])(folded(1, 10, "busy"), 1 << 41, (), 0) == NEVER_MS


class TestEntries:
    RULES = parse_rules(
        '[segments.cold]\ndescription = "d"\nwhen = "engagement < 1 and since_first_seen_ms >= days(9)"\n'
        '[segments.watchers]\ndescription = "d"\nwhen = "views_30d >= 90 and orders_30d == 0"\n'
    )

    def look_ahead(self) -> tuple[Reader, NextFlip]:
        rules = self.RULES
        return reader(rules.reads), next_flip_of(rules.bearings, rules.reads, rules.entries)

    def test_all_that_is_awaited_is_awaited_together(self) -> None:
        """Once: not when the score has fallen, and again when the time has come."""
        fold = folded(2, 25, "orders-again")
        read, next_flip = self.look_ahead()
        now_ms = fold.clock_ms
        at_ms = next_flip(fold, now_ms, read(fold, now_ms), 0)
        fold.advance(at_ms)
        assert self.RULES.step(read(fold, at_ms), 0, 0) & 1 or self.RULES.step(read(fold, at_ms + 1), 0, 0) & 1

    def test_what_time_cannot_mend_is_not_waited_for(self) -> None:
        """Orders will leave the window, but with so few views nobody enters."""
        fold = folded(0, 25, "busy")
        read, next_flip = self.look_ahead()
        now_ms = fold.clock_ms
        assert read(fold, now_ms)[self.RULES.reads.index("orders_30d")] > 0
        assert next_flip(fold, now_ms, read(fold, now_ms), 1) == NEVER_MS

    def test_a_choice_is_looked_at_atom_by_atom(self) -> None:
        text = '[segments.a]\ndescription = "d"\nwhen = "orders_7d == 0 or since_last_seen_ms > days(1)"\n'
        assert parse_rules(text).entries == ()
