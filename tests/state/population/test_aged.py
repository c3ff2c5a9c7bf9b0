"""A customer of whom nothing has been heard since, as far as time alone says it: held to the features as of then."""

from collections import defaultdict
from random import Random

import pytest

from jobs.simulation import Simulation, SimulationSettings
from schemas.decode import Decoder
from schemas.facts import Fact, Kind
from schemas.rejects import Rejected
from schemas.settings import DAY_MS, HOUR_MS, Settings
from state.customer.features import FEATURE_NAMES, read_all
from state.customer.fold import Fold
from state.population.axes import AGES, aged
from state.rules.features import FEATURES

SHOP = SimulationSettings(events=1_500, customers=60, days=30)


def folds() -> list[Fold]:
    """Customers as they stand after their last event."""
    decode, facts = Decoder(Settings(), lambda: 2_000_000_000_000).decode, defaultdict[str, list[Fact]](list)
    for line in Simulation(SHOP).lines():
        try:
            subject, fact = decode(line)
        except Rejected:
            continue
        facts[subject].append(fact)
    found = []
    for those in facts.values():
        fold = Fold(Settings())
        for fact in sorted(those, key=lambda one: (one.time_ms, one.event_id)):
            if fact.kind != Kind.ERASE:
                fold.advance(fact.time_ms)
                fold.apply(fact)
        if fold.last_seen_ms is not None:
            found.append(fold)
    return found


class TestAged:
    @pytest.mark.parametrize("seed", range(3))
    def test_as_the_customer_then_is(self, seed: int) -> None:
        """Ages, engagement, and windows that nothing lies in any more; the others hold no less than is left in them."""
        random, emptied, left = Random(seed), 0, 0
        for fold in folds():
            said_ms = fold.clock_ms + random.choice((0, 1, HOUR_MS, 3 * DAY_MS))
            said = dict(zip(FEATURE_NAMES, fold.as_of(said_ms, read_all), strict=True))
            for by_ms in (1, HOUR_MS, DAY_MS, 7 * DAY_MS - HOUR_MS, 7 * DAY_MS, 45 * DAY_MS, 90 * DAY_MS):
                true = dict(zip(FEATURE_NAMES, fold.as_of(said_ms + by_ms, read_all), strict=True))
                found = aged(said, by_ms)
                assert found.keys() == said.keys()
                assert [found[name] for name in AGES] == [true[name] for name in AGES]
                assert found["engagement"] == pytest.approx(true["engagement"], rel=1e-9)
                for name, spec in FEATURES.items():
                    if spec.window_days is not None and true["since_last_seen_ms"] >= spec.window_days * DAY_MS:
                        assert found[name] == true[name] == 0
                        emptied += said[name] != 0
                    elif spec.drift == "count":
                        assert found[name] == said[name] >= true[name]
                        left += found[name] != true[name]
        assert emptied > 100
        assert left > 10

    def test_what_is_not_there_does_not_appear(self) -> None:
        """Nor does anything become of a time that has not passed."""
        few = {"views_7d": 3, "since_last_seen_ms": 6 * DAY_MS, "recency_ms": None, "device": "mobile"}
        assert aged(few, 0) is few
        assert aged(few, -1) is few
        assert aged(few, DAY_MS - 1) == few | {"since_last_seen_ms": 7 * DAY_MS - 1}
        assert aged(few, DAY_MS) == few | {"since_last_seen_ms": 7 * DAY_MS, "views_7d": 0}
        assert aged({}, DAY_MS) == {}
