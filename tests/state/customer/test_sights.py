"""What is seen of a customer at a later moment, and that seeing changes nothing."""

from random import Random

import pytest
from msgspec.structs import replace

from jobs.simulation import Simulation, SimulationSettings
from schemas.decode import Decoder
from schemas.settings import DAY_MS, HOUR_MS, Settings
from state.customer.customer import Customer
from state.customer.features import FEATURE_NAMES, read_all
from state.customer.logic import PLACE_END, CustomerLogic
from state.local import LocalRun
from state.rules.ruleset import load_rules
from state.similar.settings import SimilarSettings

NOW_MS = 2_000_000_000_000
RULES = load_rules()
HARD = SimulationSettings(events=1_500, customers=25, days=40, shuffle_ms=HOUR_MS, refunds_first=True)


class TestSights:
    """Held to a copy from the store that lives until then."""

    @pytest.mark.parametrize("cached", [0, 10, 1_000])
    @pytest.mark.parametrize("seed", range(4))
    def test_of_a_later_time(self, seed: int, cached: int) -> None:
        """Whether or not something empties, turns, or waits to be put in order until then."""
        random, settings = Random(seed), Settings()
        decode = Decoder(settings, lambda: NOW_MS).decode
        logic = CustomerLogic(
            settings, RULES, SimilarSettings(), watching=True, now_ms=lambda: NOW_MS, cached_customers=cached
        )
        run, seen, moved = LocalRun(logic, settings.out_of_orderness_ms), 0, 0
        for number, line in enumerate(Simulation(replace(HARD, seed=seed)).lines()):
            subject, fact = decode(line)
            run.feed(subject, fact.time_ms, PLACE_END + line)
            if number % 5:
                continue
            key = random.choice(list(run.stores))
            store, late_ms = run.stores[key], random.choice((0, HOUR_MS, DAY_MS, 8 * DAY_MS, 100 * DAY_MS))
            packed = store.load()
            if packed is None:
                continue
            known, copy = logic._cache.get(key, keep=False), Customer.unpack(logic.calendar, packed, store)
            before = None if known is None else known._pack_whole(store)
            sight = logic.sight(key, fact.time_ms + late_ms, store)
            assert store.load() == packed
            assert known is None or known._pack_whole(store) == before
            moved += fact.time_ms + late_ms >= copy.fold.expires_ms
            copy.pass_time(max(fact.time_ms + late_ms, copy.fold.clock_ms))
            assert (sight.as_of_ms, sight.revision) == (copy.fold.clock_ms, copy.revision)
            if not copy.is_shown:
                assert sight.values is None
                continue
            seen += 1
            values = read_all(copy.fold, copy.fold.clock_ms)
            assert sight.values == dict(zip(FEATURE_NAMES, values, strict=True))
            assert (sight.parts, sight.rules, sight.event_id) == (
                copy.parts,
                RULES.version,
                copy.newest[1],
            )
        assert seen > 200
        assert 50 < moved < seen
