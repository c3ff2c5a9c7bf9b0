"""What the operators of a population have in their states, packed by a version and kept as a file.

Every later program must read it: a savepoint is made of such values. `live.v1.bin` is a MessagePack map with what a
live job had after `LOG`; `live.v1.json` says what that means. A new version gets new files beside these. To make them,
in a Python prompt that has the project and tests/state/population on its path: `import test_population_fixtures as t;
t.write("v2")`. Files are written once; to write them again would only prove that the program agrees with itself.
"""

import json
from pathlib import Path
from typing import Any

import msgpack
import pytest
from whole_population import NOW_MS

from jobs.factories import make_assign_logic, make_gather_logic, make_merger_logic, make_snapshot_logic
from jobs.simulation import Simulation, SimulationSettings
from schemas.decode import Decoder
from schemas.settings import DAY_MS, Settings
from state.channels import Channel
from state.customer.logic import PLACE_END, CustomerLogic
from state.local import DictStore, DictView, LocalRun
from state.local_population import ListStore
from state.population.assign_book import AssignBook
from state.population.assigned import Assigned
from state.population.contributions import Deltas
from state.population.gathering import Parcel
from state.population.merger import MergerLogic
from state.population.sight import Sight
from state.population.snapshots import Message, SnapshotLogic
from state.population.standing import Standing
from state.population.view import PopulationView
from state.rules.ruleset import parse_rules
from state.similar.settings import SimilarSettings

FIXTURES = Path(__file__).parent / "fixtures"
LOG = SimulationSettings(events=4_000, customers=120, days=70)
SETTINGS = Settings(
    population={
        "enabled": True,
        "clusters": {"seed_at": 40, "least_size": 3},
        "scores": {"examples_min": 50, "each_min": 5},
    }
)
RULES = """
[segments.viewers]
description = "For tests."
when = "views_7d >= 3"
[segments.spenders]
description = "For tests."
enter = "revenue_total_cents > percentile(revenue_total_cents, 80)"
leave = "revenue_total_cents < percentile(revenue_total_cents, 70)"
minimum_stay = "3d"
[segments.keen]
description = "For tests."
when = 'quartile(engagement) == 4 and segment("viewers") or buys_7d > 0.2'
"""
FEATURES = ("engagement", "orders_total", "recency_ms", "revenue_total_cents")


class Job:
    """The logics of a live job, one after the other, with all that they keep."""

    def __init__(self) -> None:
        self.rules = parse_rules(RULES, "rules")
        self.customers = CustomerLogic(
            SETTINGS, self.rules, SimilarSettings(), now_ms=lambda: NOW_MS, watching=True, cached_customers=0
        )
        self.snapshots: SnapshotLogic = make_snapshot_logic(SETTINGS, None)
        self.snapshots.count(FEATURES)
        self.gather = make_gather_logic(SETTINGS, None)
        self.merger: MergerLogic = make_merger_logic(SETTINGS, RULES, "rules", True)
        assign = make_assign_logic(RULES, "rules", None)
        assert isinstance(assign, AssignBook)
        self.assign = assign
        self.local = LocalRun(self.customers, SETTINGS.out_of_orderness_ms)
        self.kept = DictView()
        self.told, self.population = ListStore(), ListStore()
        self.looked: dict[str, DictStore] = {}
        self.assigned: dict[str, DictStore] = {}
        self.messages: list[bytes] = []
        self.assign.on_start(self.kept)

    def run(self) -> None:
        """A look at everybody who has come in each six hours is enough to fill all states."""
        decode = Decoder(SETTINGS, lambda: NOW_MS).decode
        every_ms, due_ms, come = 6 * 3_600_000, 0, dict[str, None]()
        for line in Simulation(LOG).lines():
            subject, fact = decode(line)
            come[subject] = None
            for channel, key, payload in self.local.feed(subject, fact.time_ms, PLACE_END + line):
                if channel == Channel.STANDING:
                    store = self.assigned.setdefault(key, DictStore())
                    self.assign.on_standing(key, payload, self.local.watermark_ms, store)
            if fact.time_ms >= due_ms:
                due_ms = (fact.time_ms // every_ms + 1) * every_ms
                self.look(sorted(come), fact.time_ms)
                if due_ms % (7 * DAY_MS) < every_ms:  # whoever is away is looked at now and then
                    self.look(sorted(self.looked), fact.time_ms + 1)
                come.clear()

    def look(self, keys: list[str], now_ms: int) -> None:
        for key in keys:
            store = self.looked.setdefault(key, DictStore())
            self.snapshots.note(now_ms, store)
            sight = self.customers.sight(key, now_ms, self.local.stores[key])
            look = self.snapshots.on_time(key, now_ms, store, lambda sight=sight: sight)
            if look.message is not None:
                self.messages = [*self.messages[-4:], look.message.packed()]
                self.gather.on_message(look.message.packed(), now_ms, self.told)
            if look.standing is not None:
                assigned = self.assigned.setdefault(key, DictStore())
                self.assign.on_standing(key, look.standing.packed(), now_ms, assigned)
        for parcel in self.gather.on_time(now_ms, now_ms + 3_600_000, self.told):
            self.merger.on_parcel(parcel, now_ms, self.population)
            for channel, _, payload in self.merger.on_time(now_ms, now_ms + 3_600_000, self.population):
                if channel == Channel.VIEW:
                    self.assign.on_broadcast(payload, self.kept)


def meaning(packed: dict[str, Any]) -> dict[str, Any]:
    """What the values of a file say, as JSON has it."""
    logic, rules = make_snapshot_logic(SETTINGS, None), parse_rules(RULES, "rules")
    logic.count(FEATURES)
    counted = {}
    for key, one in packed["snapshots"].items():
        store = DictStore()
        store.save(one)
        look = logic.on_time(key, 2**62, store, lambda: Sight(0, 0, None))
        assert look.message is not None
        counted[key] = list(Deltas.unpacked(look.message.deltas))
    people = {
        key: Assigned.unpacked(one, {rules.version: rules.remainder}.get, rules.remainder)
        for key, one in packed["assigned"].items()
    }
    view = PopulationView.unpacked(packed["kept"]["view"])
    assert view.clusters is not None
    assert view.scores is not None
    values = [one.values for one in people.values()]
    store = ListStore()
    store.save(packed["merger"])
    population = make_merger_logic(SETTINGS, RULES, "rules", True)._opened(store)
    book = make_assign_logic(RULES, "rules", None)
    kept = DictView(packed["kept"])
    return json.loads(
        json.dumps(
            {
                "counted": counted,
                "assigned": {
                    key: [one.since(), one.cluster_id, one.rfm, one.view, one.told_ms, one.is_shown]
                    for key, one in people.items()
                },
                "view": [view.number, view.at_ms, [list(one) for one in sorted(view.percentiles)]],
                "clusters": [view.clusters.number, [view.clusters.assign(one).cluster_id for one in values]],
                "scores": [view.scores.number, [sorted(view.scores.predict(one).items()) for one in values]],
                "in all": [[name, len(population._sketches.sketch(name))] for name in FEATURES],
                "messages": [
                    [one.customer_id, one.as_of_ms, one.gone, one.point, len(one.examples)]
                    for one in map(Message.unpacked, packed["messages"])
                ],
                "parcel": Parcel.unpacked(packed["parcel"]).at_ms,
                "standing": [Standing.unpacked(one).as_of_ms for one in packed["standings"]],
                "goes on": book.on_start(kept),
            }
        )
    )


def write(version: str) -> None:
    """Make the files of a version."""
    job = Job()
    job.run()
    keys = sorted(job.assigned)[:8]
    for one in job.messages:
        job.gather.on_message(one, 0, job.told)
    last_ms = max(Message.unpacked(one).as_of_ms for one in job.messages)
    packed = {
        "snapshots": {key: job.looked[key].packed for key in keys},
        "assigned": {key: job.assigned[key].packed for key in keys},
        "kept": dict(job.kept),
        "merger": job.population.load(),
        "messages": job.messages,
        "parcel": job.gather.on_time(last_ms, 2**62, job.told)[0],
        "standings": [msgpack.unpackb(job.assigned[key].packed)[1] for key in keys],
    }
    (FIXTURES / f"live.{version}.bin").write_bytes(msgpack.packb(packed))
    text = json.dumps(meaning(packed), indent=1, sort_keys=True)
    (FIXTURES / f"live.{version}.json").write_text(text + "\n", encoding="utf-8")


@pytest.mark.parametrize("path", sorted(FIXTURES.glob("*.bin")), ids=lambda path: path.stem)
def test_it_means_what_it_meant(path: Path) -> None:
    """To the last number, floats within what a processor may round differently."""
    packed = msgpack.unpackb(path.read_bytes(), strict_map_key=False)
    expected = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
    for one in expected["assigned"].values():
        one[0].pop("viewers", None)  # version 1 held what own facts decide, too
    assert nearly(meaning(packed)) == nearly(expected)


def test_there_are_files() -> None:
    """Else the test above would pass with nothing."""
    assert list(FIXTURES.glob("*.bin"))


def nearly(value: Any) -> Any:
    if isinstance(value, float):
        return round(value, 9)
    if isinstance(value, list):
        return [nearly(one) for one in value]
    return {name: nearly(one) for name, one in value.items()} if isinstance(value, dict) else value
