"""How good are the propensity scores, told only what was known at the time, and what do they cost?

    python -m benchmarks.propensity [--seeds 3] [--river]

Simulated logs of half a year, also with customers who change half way, and Online Retail. A version is published each
day of event time and speaks of the next day's snapshots; outcomes are learnt on the day on which they are known. Peers
hear the same on the same days. Measured is what was said from the first day on which the scores said anything: exact
AUC (ranks) and the expected calibration error over 15 groups of about equal weight.
`--river` adds River's other models; they take longer.
"""

import argparse
import time
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np

from benchmarks.propensity_data import Histories, Settled, online_retail, settled, simulated, some_values
from benchmarks.propensity_peers import (
    RECENCY,
    RIVER,
    SEEN,
    BaseRate,
    Batch,
    Cells,
    Floats,
    OfRiver,
    Peer,
    Recency,
    auc,
)
from benchmarks.results import Results
from jobs.simulation import SimulationSettings
from schemas.settings import DAY_MS
from state.population.calibration import FITS
from state.population.labels import TARGETS, Example
from state.population.reliability import Reliability
from state.population.score_inputs import score_inputs, vectors
from state.population.score_learner import ScoreLearner
from state.population.score_settings import LearnerSettings, ScoreSettings
from state.population.score_version import Score, ScoreVersion
from state.population.scores import ScoreModel

EVERY_MS = 7 * DAY_MS  # from one snapshot of a customer to the next
RETAIL = Path(__file__).parents[1] / "examples" / "online_retail.csv.xz"


class Scores:
    """The project's scores for one target, through examples and versions, as they are bound to a stream."""

    def __init__(self, target: int, settings: ScoreSettings) -> None:
        self.target, self.model = target, ScoreModel(settings)
        self.now_ms = 0
        self.score: Score | None = None

    def say(self, inputs: Floats) -> Floats:
        if self.score is None:
            return np.full(len(inputs), np.nan)
        return np.array([self.score.probability(row) for row in inputs.tolist()])

    def hear(self, inputs: Floats, came: Floats) -> None:
        self.now_ms += DAY_MS
        self.model.learn(
            [
                Example(self.now_ms, f"{at:06d}", self.target, bool(positive), vectors.packed(row), None)
                for at, (row, positive) in enumerate(zip(inputs.tolist(), came.tolist(), strict=True))
            ],
            self.now_ms,
        )
        self.score = self.model.publish().scores[self.target]


class Day:
    """What happens on one day of event time: snapshots that are spoken of, outcomes that become known."""

    def __init__(self) -> None:
        self.spoken: list[int] = []
        self.heard: list[int] = []


def prequential(made: Sequence[Settled], peers: dict[str, Peer], leader: str) -> dict[str, tuple[Floats, Floats]]:
    """By peer: what was said of which outcome, of all snapshots that `leader` spoke of."""
    inputs = np.array([vectors.unpacked(one.example.inputs) for one in made])
    came = np.array([float(one.example.positive) for one in made])
    days: defaultdict[int, Day] = defaultdict(Day)
    for at, one in enumerate(made):
        days[one.example.as_of_ms // DAY_MS].spoken.append(at)
        days[one.at_ms // DAY_MS].heard.append(at)
    said = {name: np.full(len(made), np.nan) for name in peers}
    for day in range(min(days), max(days) + 1):
        spoken, heard = days[day].spoken, days[day].heard
        for name, peer in peers.items():
            if spoken:
                said[name][spoken] = peer.say(inputs[spoken])
            peer.hear(inputs[heard], came[heard])
    counts = ~np.isnan(said[leader])
    return {name: (told[counts], came[counts]) for name, told in said.items()}


def ece(said: Floats, came: Floats) -> float:
    """Of what was said, all of it counting the same."""
    seen = Reliability()
    for probability, positive in zip(said.tolist(), came.tolist(), strict=True):
        seen.add(probability, bool(positive))
    quality = seen.quality()
    assert quality is not None
    return quality.ece


def brier(said: Floats, came: Floats) -> float:
    return float(np.mean((said - came) ** 2))


def peers_of(target: int, river: bool, settings: Sequence[tuple[str, ScoreSettings]]) -> dict[str, Peer]:
    """All of them, by name."""
    rank = Recency(RECENCY, -1.0) if target == 0 else Recency(SEEN, 1.0)
    made: dict[str, Peer] = {name: Scores(target, chosen) for name, chosen in settings}
    made |= {"base rate": BaseRate(), "rank by recency": rank, "recency and frequency": Cells(), "batch": Batch()}
    if river:
        made |= {f"River's {name}": OfRiver(name) for name in RIVER}
    return made


def variants() -> list[tuple[str, ScoreSettings]]:
    """The scores as they are by default first, and with one thing changed."""
    usual = ScoreSettings()
    others = [name for name in FITS if name != usual.calibration]
    return [
        (f"scores, {usual.calibration}", usual),
        *((f"scores, {name}", ScoreSettings(calibration=name)) for name in others),  # type: ignore[arg-type]
        ("scores, half the learning rate", ScoreSettings(learner=LearnerSettings(learning_rate=0.05))),
        ("scores, memory never fades", ScoreSettings(memory_half_life_ms=10**15)),
    ]


def main() -> None:
    """Measure, print, keep."""
    parser = argparse.ArgumentParser(description="Propensity scores.")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--events", type=int, default=60_000)
    parser.add_argument("--customers", type=int, default=1_500)
    parser.add_argument("--river", action="store_true")
    options = parser.parse_args()
    results = Results("propensity", "Propensity scores", vars(options))
    base = SimulationSettings(events=options.events, customers=options.customers, days=180)
    logs: dict[str, list[Histories]] = {"simulated": [], "simulated, shift": []}
    for seed in range(1, options.seeds + 1):
        for name, shift_at in (("simulated", None), ("simulated, shift", 0.5)):
            logs[name].append(simulated(_with(base, seed, shift_at)))
    logs["Online Retail"] = [online_retail(RETAIL)]
    for name, histories in logs.items():
        _judge(results, name, [settled(one, EVERY_MS) for one in histories], options.river)
    _costs(results, settled(logs["simulated"][0], EVERY_MS), some_values(logs["simulated"][0], 2_000))
    results.finish()


def _with(base: SimulationSettings, seed: int, shift_at: float | None) -> SimulationSettings:
    return SimulationSettings(
        events=base.events, customers=base.customers, days=base.days, seed=seed, shift_at=shift_at
    )


def _judge(results: Results, log: str, runs: Sequence[Sequence[Settled]], river: bool) -> None:
    for target, target_name in enumerate(TARGETS):
        figures: defaultdict[str, list[tuple[float, float, float]]] = defaultdict(list)
        counts = []
        for run in runs:
            made = [one for one in run if one.example.target == target]
            chosen = variants()
            leader = chosen[0][0]
            found = prequential(made, peers_of(target, river, chosen), leader)
            for name, (said, came) in found.items():
                figures[name].append((auc(said, came), ece(said, came), brier(said, came)))
            counts.append((len(found[leader][1]), fmean(found[leader][1].tolist())))
        results.add(f"{log}, {target_name}: examples judged", "", *(count for count, _ in counts))
        results.add(f"{log}, {target_name}: base rate", "%", *(100 * rate for _, rate in counts))
        for name, values in figures.items():
            results.add(f"  {name}: AUC", "%", *(100 * one[0] for one in values))
            if name != "rank by recency":
                results.add(f"  {name}: ECE", "%", *(100 * one[1] for one in values))
                results.add(f"  {name}: Brier", "%", *(100 * one[2] for one in values))


def _costs(results: Results, made: Sequence[Settled], values: Sequence[dict[str, Any]]) -> None:
    """CPU time on one core."""
    began = time.process_time()
    for one in values:
        score_inputs(one)
    results.add("inputs from features", "us", (time.process_time() - began) / len(values) * 1e6)
    rows = [(vectors.unpacked(one.example.inputs), one.example.positive) for one in made[:20_000]]
    learner = ScoreLearner(LearnerSettings())
    began = time.process_time()
    for inputs, positive in rows:
        learner.learn(inputs, positive)
    results.add("learn one example", "us", (time.process_time() - began) / len(rows) * 1e6)
    for name, fit in FITS.items():
        began = time.process_time()
        calibration = fit(learner.fresh)
        results.add(f"fit a calibration, {name}", "us", (time.process_time() - began) * 1e6)
        score = Score(learner.weights(), calibration, learner.seen, None)
        began = time.process_time()
        for inputs, _ in rows:
            score.probability(inputs)
        results.add(f"  a probability from inputs, {name}", "us", (time.process_time() - began) / len(rows) * 1e6)
        version = ScoreVersion(1, 0, (score, score))
        began = time.process_time()
        for one in values:
            version.predict(one)
        results.add(f"  both scores from features, {name}", "us", (time.process_time() - began) / len(values) * 1e6)


if __name__ == "__main__":
    main()
