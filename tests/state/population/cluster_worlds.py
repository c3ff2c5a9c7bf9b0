"""Small worlds of customers whose true clusters are known, without a shop around them."""

from random import Random
from typing import Any

import msgspec
import numpy as np

from state.population.axes import Axis
from state.population.cluster_settings import ClusterSettings
from state.population.intake import Intake
from state.population.learning import PopulationLearner
from state.population.model import ClusterModel
from state.population.quality import adjusted_rand
from state.population.scaling import Matrix
from state.population.scaling_settings import ScalingSettings
from state.population.version import Learned

START_MS = 1_700_000_000_000
DAY_MS = 86_400_000
FEATURES = ("views_30d", "orders_30d", "sessions_30d")
AXES = tuple(Axis(name=name, feature=name, topic=name, high=f"many {name}", low=f"few {name}") for name in FEATURES)
SETTINGS = ClusterSettings(
    scaling=ScalingSettings(axes=AXES), sample_size=512, judged=256, seed_at=60, k_max=6, recheck_every=4
)
CENTRES = ((2, 0, 1), (400, 0, 20), (60, 60, 20), (8, 8, 300))
"""Features of four kinds of customers; on logarithmic axes they lie far apart."""


def settings(**changes: Any) -> ClusterSettings:
    return msgspec.structs.replace(SETTINGS, **changes)


def kind_of(customer: int, kinds: int = len(CENTRES)) -> int:
    return customer % kinds


def values(centre: tuple[int, ...], random: Random) -> dict[str, Any]:
    """A customer of a kind: each feature between half and twice the typical one."""
    return {name: round(typical * 2 ** random.uniform(-1, 1)) for name, typical in zip(FEATURES, centre, strict=True)}


def snapshots(
    customers: int, interval: int, centres: tuple[tuple[int, ...], ...] = CENTRES, seed: int = 1
) -> list[tuple[str, int, dict[str, Any]]]:
    """Everybody once, in one interval."""
    random = Random(seed * 1_000 + interval)
    return [
        (f"c{at}", START_MS + interval * DAY_MS, values(centres[kind_of(at, len(centres))], random))
        for at in range(customers)
    ]


def gathered(used: ClusterSettings, model: ClusterModel | None, found: list[tuple[str, int, dict[str, Any]]]) -> Intake:
    intake = Intake(used, model)
    for customer_id, as_of_ms, features in found:
        intake.add(customer_id, as_of_ms, features)
    return intake


def cloud(centres: list[list[float]], each: int, deviation: float, seed: int = 1) -> tuple[Matrix, list[int]]:
    """Round normal blobs, and who belongs to which."""
    random = Random(seed)
    points = [[random.gauss(value, deviation) for value in centre] for _ in range(each) for centre in centres]
    return np.array(points), list(range(len(centres))) * each


def fed(used: ClusterSettings, intervals: int, customers: int = 240, **world: Any) -> tuple[PopulationLearner, Learned]:
    learner = PopulationLearner(used)
    learned = None
    for interval in range(intervals):
        learned = learner.learn(gathered(used, learner.model, snapshots(customers, interval, **world)))
    assert learned is not None
    return learner, learned


def likeness(model: ClusterModel, found: list[tuple[str, int, dict[str, Any]]], kinds: int = len(CENTRES)) -> float:
    """Adjusted Rand index against the truth."""
    truth = [kind_of(int(customer_id[1:]), kinds) for customer_id, _, _ in found]
    return adjusted_rand(truth, [model.assign(values).cluster_id for _, _, values in found])
