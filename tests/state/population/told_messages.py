"""Messages of random customers, for what puts them together."""

from random import Random
from typing import Any

from state.population.cluster_settings import ClusterSettings
from state.population.contributions import contribute
from state.population.labels import BUYS, Example
from state.population.score_inputs import score_inputs, vectors
from state.population.snapshots import Message

FEATURES = ("orders_total", "recency_ms", "revenue_total_cents")
CLUSTERS = ClusterSettings(sample_size=16, seed_at=12, k_min=2, k_max=2, least_size=2)
AXES = len(CLUSTERS.scaling.axes)


class Tellers:
    """Customers who tell what they are, differences to what they told before."""

    def __init__(self, random: Random, customers: int | None = 30) -> None:
        """`customers`: None: each speaks once, so that messages may come in any order."""
        self._random, self._customers = random, customers
        self._told: dict[str, bytes | None] = {}

    def message(self, at_ms: int) -> Message:
        random = self._random
        name = f"c{len(self._told) if self._customers is None else random.randrange(self._customers)}"
        values: dict[str, Any] | None = {
            "orders_total": random.randint(0, 9),
            "recency_ms": random.randrange(10**10),
            "revenue_total_cents": random.randrange(10**6),
        }
        values = values if random.random() < 0.9 else None
        deltas, self._told[name] = contribute(self._told.get(name), values, at_ms, FEATURES)
        point = None if values is None else tuple(random.randint(0, 50) for _ in range(AXES))
        inputs = vectors.packed(score_inputs(values or {}))
        asked = random.randint(0, 2) if values else 0
        examples = tuple(Example(at_ms - at, name, BUYS, bool(at), inputs, None).packed() for at in range(asked))
        return Message(name, at_ms, deltas.packed(), values is None, point, examples, random.randint(0, 1))
