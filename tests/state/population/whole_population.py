"""Logs run through customers and their population, without an engine, and what that leaves."""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import msgpack

from schemas.decode import Decoder
from schemas.profiles import merged, unpack_versioned
from schemas.rejects import Rejected
from schemas.settings import Settings
from schemas.writes import WriteKind
from state.channels import Channel, Output
from state.customer.logic import PLACE_END, CustomerLogic
from state.local import LocalRun
from state.local_population import LocalPopulation, Logics
from state.population.assign import AssignLogic
from state.population.gathering import GatherLogic
from state.population.in_time import InTime
from state.population.merger import MergerLogic
from state.population.settings import GATHER_BOUNDED_MS, PopulationSettings
from state.population.snapshots import SnapshotLogic, SnapshotSettings
from state.rules.ruleset import RuleSet, load_rules
from state.similar.settings import SimilarSettings

RULES = load_rules()
NOW_MS = 2_000_000_000_000


@dataclass
class Left:
    """What a run left."""

    outputs: list[Output]
    profiles: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Of both parts."""

    def __post_init__(self) -> None:
        parts: dict[str, dict[str, dict[str, Any] | None]] = {"own": {}, "beside": {}}
        for channel, _, payload in self.outputs:
            write = msgpack.unpackb(payload, raw=True) if channel == Channel.REDIS else (None,)
            if write[0] in (WriteKind.PROFILE, WriteKind.TOMBSTONE, WriteKind.POPULATION):
                part = "beside" if write[0] == WriteKind.POPULATION else "own"
                parts[part][write[1].decode()] = unpack_versioned(write[2])
        for key, own in parts["own"].items():
            profile = merged(own, parts["beside"].get(key))
            if profile is not None:
                self.profiles[key] = profile

    def records(self, channel: Channel) -> list[dict[str, Any]]:
        return [json.loads(payload) for one, _, payload in self.outputs if one == channel]

    def models(self, kind: str) -> list[dict[str, Any]]:
        return [record for record in self.records(Channel.MODEL) if record["kind"] == kind]

    def changes(self) -> list[dict[str, Any]]:
        return self.records(Channel.SEGMENT_CHANGE)


def logics(
    as_of_ms: int,
    chosen: PopulationSettings,
    settings: Settings | None = None,
    rules: RuleSet = RULES,
    gather_every_ms: int = GATHER_BOUNDED_MS,
) -> Logics:
    """As jobs/factories.py makes them for a run that ends."""
    settings, axes = settings or Settings(), chosen.clusters.scaling.axes
    snapshots = SnapshotSettings(axes, gather_every_ms, settings.session_gap_ms, as_of_ms)
    return Logics(
        customers(as_of_ms, settings, rules, watching=True),
        SnapshotLogic(snapshots, ()),
        GatherLogic(chosen.clusters, gather_every_ms, as_of_ms),
        MergerLogic(chosen, rules, live=False),
        InTime(AssignLogic(rules.remainder), as_of_ms),
    )


def customers(as_of_ms: int, settings: Settings, rules: RuleSet = RULES, *, watching: bool) -> CustomerLogic:
    return CustomerLogic(
        settings, rules, SimilarSettings(), as_of_ms=as_of_ms, now_ms=lambda: NOW_MS, watching=watching
    )


def fed(run: LocalPopulation | LocalRun, lines: Iterable[bytes]) -> Left:
    """Everything that a run says of these lines."""
    decode, said = Decoder(Settings(), lambda: NOW_MS).decode, list[Output]()
    for line in lines:
        try:
            subject, fact = decode(line)
        except Rejected:
            said += run.feed("", None, PLACE_END + line)
        else:
            said += run.feed(subject, fact.time_ms, PLACE_END + line)
    return Left([*said, *run.close()])


def newest_ms(lines: Iterable[bytes]) -> int:
    """The newest event's time."""
    decode, newest = Decoder(Settings(), lambda: NOW_MS).decode, 0
    for line in lines:
        try:
            newest = max(newest, decode(line)[1].time_ms)
        except Rejected:
            continue
    return newest
