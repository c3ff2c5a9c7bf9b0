"""Online clusters beside batch clustering: quality, stability, speed.

    python -m benchmarks.population [--events 200000] [--customers 8000] [--seeds 20] [--shuffles 20] [--peer PYTHON]

Every learner is fed interval by interval (5 days of a simulated log, 14 of Online Retail), each time with a snapshot of
everybody seen so far. At the end its newest model assigns all customers, and so does, on the same points with the same
number of clusters, scikit-learn's batch KMeans and MiniBatchKMeans (`--peer`: a Python that has it). River's
STREAMKMeans and DBSTREAM see the same points (stream_clusters.py).

Adjusted Rand indices against the true kinds are low for everybody: most simulated customers come once or twice; their
kinds cannot be told yet. What counts is the ratio. Rows named "few visits left out" are of customers with 3 sessions.
"""

import argparse
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from random import Random
from typing import Any, NamedTuple, get_args

import msgspec
import numpy as np

from benchmarks.population_data import Population, Snapshot, online_retail, simulated
from benchmarks.results import Results
from benchmarks.stream_clusters import streamed
from state.population.cluster_settings import AlgorithmName, ClusterSettings
from state.population.intake import Intake
from state.population.learning import PopulationLearner
from state.population.model import ClusterModel
from state.population.quality import adjusted_rand, silhouette
from state.population.scaling import Matrix

ALGORITHMS = get_args(AlgorithmName)
BUSY_SESSIONS = 3
JUDGED = 4_096
"""Customers on whom silhouettes of whole populations are computed: the first by id."""


class Run(NamedTuple):
    """A learner's way through a population."""

    model: ClusterModel
    stabilities: list[float]
    """By version after the first one whose number of clusters is that of the one before."""
    changes: int
    """Versions that began or ended a cluster."""
    gather_us: float
    """CPU time per snapshot: reading, hashing, summing up."""
    learn_us: float
    """CPU time per snapshot: everything that the merger does, spread over the snapshots of all intervals."""


def main() -> None:
    """Measure, print, keep."""
    parser = argparse.ArgumentParser(description="Online clusters beside batch clustering.")
    parser.add_argument("--events", type=int, default=200_000)
    parser.add_argument("--customers", type=int, default=8_000)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--shuffles", type=int, default=20)
    parser.add_argument("--peer", default=".bench-venv/bin/python")
    options = parser.parse_args()
    told = {name: value for name, value in vars(options).items() if name != "peer"}
    results = Results("population", "Online clusters beside batch clustering", told)
    size = {"events": options.events, "customers": options.customers}
    still = simulated(seed=1, **size)
    for population in (still, simulated(seed=2, shift_at=0.5, **size), online_retail()):
        _compare(results, population, options.peer)
    _unchanged(results, still)
    _spread(results, still, options.seeds, options.shuffles)
    _assigning(results, still)
    results.finish()


def run(population: Population, settings: ClusterSettings) -> Run:
    """Feed a learner with everything."""
    learner = PopulationLearner(settings)
    stabilities, changes, snapshots = [], 0, 0
    gather_s = learn_s = 0.0
    for interval in population.intervals:
        before = learner.model
        began = time.process_time()
        intake = Intake(settings, before)
        for customer_id, as_of_ms, values in interval:
            intake.add(customer_id, as_of_ms, values)
        gathered = time.process_time()
        learned = learner.learn(intake)
        gather_s, learn_s = gather_s + gathered - began, learn_s + time.process_time() - gathered
        snapshots += len(interval)
        if before is not None and learned is not None:
            changes += bool(learned.events)
            stabilities.append(learned.model.quality.stability)
    assert learner.model is not None
    return Run(learner.model, stabilities, changes, gather_s / snapshots * 1e6, learn_s / snapshots * 1e6)


def _compare(results: Results, population: Population, peer: str) -> None:
    name, some = ("shifted half way" if "seed 2" in population.name else population.name), busy(population.last)
    truth = kinds_of(population.last, population.kinds)
    for algorithm in ALGORITHMS:
        found = run(population, ClusterSettings(algorithm=algorithm))
        model = found.model
        points, ours = assigned(model, population.last)
        labellings = {algorithm: ours, **peer_labels(peer, points, len(model.clusters))}
        head = f"{name}: {algorithm}, {len(model.clusters)} clusters"
        qualities = {who: silhouette(points[:JUDGED], labels[:JUDGED]) for who, labels in labellings.items()}
        _beside(results, f"{head}, silhouette", algorithm, qualities)
        if population.kinds:
            alike = {who: adjusted_rand(truth, labels) for who, labels in labellings.items()}
            _beside(results, f"{head}, ARI", algorithm, alike)
            few = {who: adjusted_rand(truth[some], labels[some]) for who, labels in labellings.items()}
            _beside(results, f"{head}, ARI, few visits left out", algorithm, few)
        results.add(f"  {head}, stability of versions", "ARI", *found.stabilities)
        results.add(f"  {head}, gathering", "us/snapshot", found.gather_us)
        results.add(f"  {head}, learning", "us/snapshot", found.learn_us)
        if algorithm == ClusterSettings().algorithm:
            _stream(results, name, population, model)


def _stream(results: Results, name: str, population: Population, model: ClusterModel) -> None:
    """River's other clusterers in the space of a model, judged on the busy and, for silhouettes, on the first."""
    intervals = [np.array([model.scaling.point(one[2]) for one in part]) for part in population.intervals]
    asked = intervals[-1]
    truth, some = kinds_of(population.last, population.kinds), busy(population.last)
    for found in streamed(intervals, asked, len(model.clusters)):
        head = f"{name}: {found.name}, {found.clusters} clusters"
        results.add(f"{head}, silhouette", "index", silhouette(asked[:JUDGED], found.labels[:JUDGED]))
        if population.kinds:
            few = adjusted_rand(truth[some], found.labels[some])
            results.add(f"  {head}, ARI, few visits left out", "index", few)
        results.add(f"  {head}, learning", "us/snapshot", found.learn_us)


def _beside(results: Results, head: str, algorithm: str, figures: dict[str, float]) -> None:
    for who, figure in figures.items():
        results.add(head if who == algorithm else f"  {head}, {who}", "index", figure)
    for who in ("kmeans", "minibatch"):
        if f"sklearn {who}" in figures:
            results.add(f"  {head} / sklearn {who}", "ratio", figures[algorithm] / figures[f"sklearn {who}"])


def busy(snapshots: Sequence[Snapshot]) -> Any:
    return np.array([values["sessions_90d"] >= BUSY_SESSIONS for _, _, values in snapshots])


def kinds_of(snapshots: Sequence[Snapshot], kinds: Mapping[str, str]) -> Any:
    """The true kinds, as numbers."""
    return np.unique([kinds.get(customer_id, "") for customer_id, _, _ in snapshots], return_inverse=True)[1]


def assigned(model: ClusterModel, snapshots: Sequence[Snapshot]) -> tuple[Matrix, Any]:
    """Where customers lie in the model's space, and the ids of their clusters."""
    points = np.array([model.scaling.point(values) for _, _, values in snapshots])
    return points, np.array([model.assign_point(tuple(point)).cluster_id for point in points.tolist()])


def peer_labels(python: str, points: Matrix, k: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder, "points.npz"), Path(folder, "labels.npz")
        np.savez(source, points=points, k=k)
        script = Path(__file__).with_name("population_peer.py")
        subprocess.run([python, script, source, target], check=True)
        with np.load(target) as found:
            return {f"sklearn {who}": found[who] for who in ("kmeans", "minibatch")}


def _unchanged(results: Results, population: Population) -> None:
    """The last interval, and then a tenth of its customers again and again, each time others and just as they were.

    The sample does not change by that: what `sample` says of it is 1 unless it changes its mind without a reason.
    """
    for algorithm in ALGORITHMS:
        settings = ClusterSettings(algorithm=algorithm)
        random = Random(1)
        parts = [random.sample(population.last, len(population.last) // 10) for _ in range(24)]
        intervals = [population.last, *parts]
        found = run(Population("unchanged", intervals, {}), settings)
        results.add(f"nothing changes, 24 intervals: {algorithm}, stability", "ARI", *found.stabilities)
        results.add(f"  {algorithm}, versions with births or deaths", "versions", found.changes)


def _spread(results: Results, population: Population, seeds: int, shuffles: int) -> None:
    truth = kinds_of(population.last, population.kinds)

    def judged(settings: ClusterSettings, fed: Population) -> tuple[float, float, int]:
        model = run(fed, settings).model
        points, labels = assigned(model, population.last)
        return adjusted_rand(truth, labels), silhouette(points[:1024], labels[:1024]), len(model.clusters)

    settings = ClusterSettings()
    found = [judged(msgspec.structs.replace(settings, seed=seed), population) for seed in range(1, seeds + 1)]
    _rows(results, f"{settings.algorithm}, seeds", found)
    found = []
    for seed in range(shuffles):
        random = Random(seed)
        mixed = [random.sample(interval, len(interval)) for interval in population.intervals]
        found.append(judged(settings, Population(population.name, mixed, population.kinds)))
    _rows(results, f"{settings.algorithm}, shuffled", found)


def _rows(results: Results, head: str, found: list[tuple[float, float, int]]) -> None:
    for at, (name, unit) in enumerate((("ARI", "index"), ("silhouette", "index"), ("clusters", "clusters"))):
        results.add(f"{head}: {name}", unit, *(float(one[at]) for one in found))


def _assigning(results: Results, population: Population, rounds: int = 5) -> None:
    model = run(population, ClusterSettings()).model
    times = []
    for _ in range(rounds):
        began = time.process_time()
        for _, _, values in population.last:
            model.assign(values, 1)
        times.append((time.process_time() - began) / len(population.last) * 1e6)
    results.add("assigning a customer", "us", *times)
    results.add("a packed model", "bytes", len(model.packed()))


if __name__ == "__main__":
    main()
