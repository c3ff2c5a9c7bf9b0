"""The population as a job learns it: through customers, snapshots, gathering and views, from the first event on.

    python -m benchmarks.population_chain [--events 200000] [--customers 8000] [--seeds 3] [--peer PYTHON]

`benchmarks/population.py` shows every learner everybody in each interval. A job hears of those to whom something
happens. So this runs whole logs through the logic of a run that ends (state/local_population.py): simulated ones of 60
days without a change and with one half way, and Online Retail. What is said in the first 15 days, or the first 120 of
Online Retail, does not count: customers are only being gathered then, and each new one changes the population.

* *Alarms*: days with one, per 30 days. In a log with a shift, those before it; and the days until the first after it.
* *Stability*: of the versions that were shown, each beside the one before on the same customers.
* *Clusters against the kinds*, or silhouettes: the newest model assigns everybody as of the end, and so does batch
  k-means on the same points with as many clusters (`--peer`: a Python with scikit-learn). *Right again*: days from the
  shift to the first model that, shown the customers of the end, is at 0.95 of that.
"""

import argparse
from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np

from benchmarks.alone import alone
from benchmarks.population import JUDGED, assigned, busy, kinds_of, peer_labels
from benchmarks.population_data import Snapshot, online_retail, online_retail_lines, simulated
from benchmarks.results import Results
from jobs.local_population import local_logics
from jobs.simulation import Simulation, SimulationSettings
from operators.garbage import collect_seldom
from schemas.decode import Decoder
from schemas.rejects import Rejected
from schemas.settings import DAY_MS, Settings
from state.local_population import LocalPopulation
from state.population.model import ClusterModel
from state.population.quality import adjusted_rand, silhouette
from state.population.view import PopulationView
from state.rules.ruleset import load_rules

YOUNG_MS, RETAIL_YOUNG_MS = 15 * DAY_MS, 120 * DAY_MS
"""So long nothing counts."""
RIGHT = 0.95
"""Of batch k-means."""


class Chain(NamedTuple):
    """What a job has shown."""

    first_ms: int
    last_ms: int
    models: list[ClusterModel]
    """All that were shown, the oldest first."""
    alarms: list[int]
    """When."""


def main() -> None:
    """Measure, print, keep."""
    parser = argparse.ArgumentParser(description="The population through the whole chain.")
    parser.add_argument("--events", type=int, default=200_000)
    parser.add_argument("--customers", type=int, default=8_000)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--peer", default=".bench-venv/bin/python")
    options = parser.parse_args()
    told = {name: value for name, value in vars(options).items() if name != "peer"}
    results = Results("population_chain", "The population as a job learns it", told)
    for shift_at in (None, 0.5):
        name = "simulated, no change" if shift_at is None else "simulated, shifted half way"
        rows: dict[tuple[str, str], list[float]] = {}
        for seed in range(1, options.seeds + 1):
            shop = SimulationSettings(events=options.events, customers=options.customers, seed=seed, shift_at=shift_at)
            chain = alone(chain_of, shop)
            seen = simulated(seed=seed, events=shop.events, customers=shop.customers, shift_at=shift_at, every_days=60)
            shift_ms = None if shift_at is None else int(shop.start_ms + shift_at * shop.days * DAY_MS)
            for row, value in _judged(chain, seen.last, seen.kinds, YOUNG_MS, shift_ms, options.peer):
                rows.setdefault(row, []).append(value)
        for (row, unit), values in rows.items():
            results.add(f"{name}: {row}", unit, *values)
    chain = alone(chain_of, None)
    last = online_retail(every_days=400).last
    for (row, unit), value in _judged(chain, last, {}, RETAIL_YOUNG_MS, None, options.peer):
        results.add(f"Online Retail: {row}", unit, value)
    results.finish()


def chain_of(shop: SimulationSettings | None) -> Chain:
    """What a job shows of a shop; None: of Online Retail."""
    settings = Settings(population={"enabled": True}, currency="GBP" if shop is None else "USD")
    decode, events = Decoder(settings).decode, []
    for line in online_retail_lines() if shop is None else Simulation(shop).lines():
        try:
            subject, fact = decode(line)
        except Rejected:
            continue
        events.append((fact.time_ms, fact.event_id, subject, line))
    events.sort()
    collect_seldom()
    models: list[ClusterModel] = []
    local = local_logics(settings, load_rules().text, events[-1][0])
    take = local.assign.on_broadcast

    def noted(payload: bytes, kept: object) -> bool:
        model = PopulationView.unpacked(payload).clusters
        if model is not None and (not models or models[-1].number != model.number):
            models.append(model)
        return take(payload, kept)

    local.assign.on_broadcast = noted  # type: ignore[method-assign]
    alarms: list[int] = []
    learn = local.merger.on_time

    def learned(time_ms: int, watermark_ms: int, store: Any) -> Any:
        before = local.merger.tally.events.get("drift", 0)
        outputs = learn(time_ms, watermark_ms, store)
        if local.merger.tally.events.get("drift", 0) > before:
            alarms.append(time_ms)
        return outputs

    local.merger.on_time = learned  # type: ignore[method-assign]
    whole = LocalPopulation(local, settings.out_of_orderness_ms)
    for time_ms, _, subject, line in events:
        whole.feed(subject, time_ms, b"\x1f" + line)
    whole.close()
    return Chain(events[0][0], events[-1][0], models, alarms)


def _judged(
    chain: Chain, last: list[Snapshot], kinds: dict[str, str], young_ms: int, shift_ms: int | None, python: str
) -> Iterable[tuple[tuple[str, str], float]]:
    """Rows: (what, unit) and a value."""
    from_ms = chain.first_ms + young_ms
    if shift_ms is None:
        days = {at_ms // DAY_MS for at_ms in chain.alarms if at_ms >= from_ms}
        yield ("alarms per 30 days", "days"), len(days) * 30 / max(1, (chain.last_ms - from_ms) / DAY_MS)
    else:
        yield ("alarms before the shift", "alarms"), sum(from_ms <= at_ms < shift_ms for at_ms in chain.alarms)
        for at_ms in [at_ms for at_ms in chain.alarms if at_ms >= shift_ms][:1]:
            yield ("first alarm after it", "days"), (at_ms - shift_ms) / DAY_MS
    old = [model for model in chain.models if model.as_of_ms >= from_ms]
    stabilities = [model.quality.stability for model in old] or [1.0]
    yield ("versions", "versions"), len(old)
    yield ("  their stability, median", "ARI"), float(np.median(stabilities))
    yield ("  of them at 0.9 or better", "share"), float(np.mean([one >= 0.9 for one in stabilities]))
    yield ("clusters at the end", "clusters"), len(chain.models[-1].clusters)
    points, ours = assigned(chain.models[-1], last)
    batch = peer_labels(python, points, len(chain.models[-1].clusters))["sklearn kmeans"]
    wide, theirs = silhouette(points[:JUDGED], ours[:JUDGED]), silhouette(points[:JUDGED], batch[:JUDGED])
    yield ("silhouette", "index"), wide
    yield ("  silhouette / batch k-means", "ratio"), wide / theirs
    if not kinds:
        return
    some = busy(last)
    truth = kinds_of(last, kinds)[some]
    least = RIGHT * adjusted_rand(truth, batch[some])
    found = adjusted_rand(truth, ours[some])
    yield ("ARI, few visits left out", "index"), found
    yield ("  ARI / batch k-means", "ratio"), found * RIGHT / least
    if shift_ms is not None:
        for model in (model for model in chain.models if model.as_of_ms >= shift_ms):
            if adjusted_rand(truth, assigned(model, last)[1][some]) >= least:
                yield ("right again", "days"), (model.as_of_ms - shift_ms) / DAY_MS
                break


if __name__ == "__main__":
    main()
