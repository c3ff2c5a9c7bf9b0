"""Labels of whole logs, through the real fold: held to the oracle of features, which keeps nothing."""

from collections import defaultdict

import pytest
from oracle.events import Event, parse_events
from oracle.plain import features_at

from benchmarks.propensity_data import Settled, settled, simulated
from jobs.simulation import SimulationSettings, simulate
from state.population.labels import BUYS, HORIZONS_MS
from state.population.score_inputs import score_inputs, vectors

DAY = 86_400_000
SETTINGS = SimulationSettings(events=4_000, customers=100, days=75, seed=3, duplicates=0.02)


@pytest.fixture(scope="module")
def made() -> list[Settled]:
    return settled(simulated(SETTINGS), 3 * DAY)


@pytest.fixture(scope="module")
def events() -> dict[str, list[Event]]:
    found: defaultdict[str, list[Event]] = defaultdict(list)
    for event in parse_events(simulate(SETTINGS)):
        found[event.subject].append(event)
    return found


class TestLabelsOfLogs:
    def test_answers_and_inputs(self, made: list[Settled], events: dict[str, list[Event]]) -> None:
        """`buys_7d` is `orders_7d` seven days later; inputs are those of the features then."""
        sample = made[:: max(1, len(made) // 250)]
        came = [0, 0]
        for at_ms, example in sample:
            as_of_ms, subject, target = example[:3]
            assert at_ms == as_of_ms + HORIZONS_MS[target]
            later = features_at(events[subject], at_ms)
            truth = later["orders_7d"] > 0 if target == BUYS else later["last_seen_ms"] <= as_of_ms
            assert example.positive is truth
            then = score_inputs(features_at(events[subject], as_of_ms))
            assert vectors.unpacked(example.inputs) == pytest.approx(then, rel=1e-6)
            came[target] += truth
        assert min(came) >= 10

    def test_each_question_is_asked_once(self, made: list[Settled]) -> None:
        keys = [example[:3] for _, example in made]
        assert len(set(keys)) == len(keys)
