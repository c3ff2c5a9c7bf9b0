"""Runs of the customer logic over some lines, and what they leave."""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from random import Random
from typing import Any

import msgspec

from schemas.decode import Decoder
from schemas.rejects import Rejected
from schemas.settings import DAY_MS, Settings
from state.channels import Channel, Output
from state.customer.customer import Customer
from state.customer.features import features
from state.customer.logic import CustomerLogic
from state.local import LocalRun
from state.rules.ruleset import RuleSet, load_rules
from state.similar.message import PARTNERS, read_message
from state.similar.settings import SimilarSettings

PATIENT = Settings(allowed_lateness_ms=100_000 * DAY_MS)
"""No event is ever too late."""
RULES = load_rules()
SIMILAR = SimilarSettings()
NOW_MS = 2_000_000_000_000  # the wall clock, 2033
_decoder = Decoder(PATIENT, lambda: NOW_MS)


@dataclass
class Finished:
    """A run after its end."""

    logic: CustomerLogic
    local: LocalRun
    outputs: list[Output]
    read: int
    late: int = 0
    rejected: int = 0
    until_ms: int | None = None  # customers are looked at as of then
    counts: dict[str, dict[str, Any]] = field(default_factory=dict)

    def customer(self, key: str) -> Customer:
        store = self.local.stores[key]
        customer = self.logic._customer(key, store)
        if self.until_ms is not None:  # the end of a bounded run is not saved
            customer.repair(store)
            if customer.fold.clock_ms > 0:
                customer.pass_time(max(self.until_ms, customer.fold.clock_ms))
        return customer

    def features(self) -> dict[str, dict[str, Any]]:
        """All features of all customers of whom anything is known; absent ones are left out."""
        found = {key: features_of(self.customer(key)) for key in self.local.stores if key}
        return {key: values for key, values in found.items() if "last_seen_ms" in values}

    def memberships(self) -> dict[tuple[str, str], int]:
        keys = [key for key in self.local.stores if key]
        return {(key, name): since_ms for key in keys for name, since_ms in self.customer(key).membership.since()}

    def records(self) -> list[dict[str, Any]]:
        return [json.loads(payload) for channel, _, payload in self.outputs if channel == Channel.SEGMENT_CHANGE]

    def items(self) -> dict[str, dict[str, tuple[int, int]]]:
        """What the items were told in all: relation|item to partner ("": itself) to (value, support), no zeros."""
        sums: dict[str, dict[str, tuple[int, int]]] = {}
        for channel, key, payload in self.outputs:
            if channel == Channel.ITEM:
                add_message(sums.setdefault(key, {}), payload)
        return {key: row for key, row in sums.items() if row}


def features_of(customer: Customer) -> dict[str, Any]:
    return dict(msgspec.to_builtins(features(customer.fold)))


def add_message(row: dict[str, tuple[int, int]], payload: bytes) -> None:
    fields = read_message(payload)
    base = fields[2]
    for partner, value, support in [("", *fields[3:5]), *zip(*[iter(fields[PARTNERS:])] * 3, strict=True)]:
        known = row.get(partner, (0, 0))
        row[partner] = (known[0] + (value << base), known[1] + support)
        if row[partner] == (0, 0):
            del row[partner]


def key_and_time(line: bytes) -> tuple[str, int] | None:
    """As the source of a job finds them; None: not an event."""
    try:
        key, fact = _decoder.decode(line)
    except Rejected:
        return None
    return key, fact.time_ms


def run(
    lines: Iterable[bytes],
    as_of_ms: int,
    *,
    settings: Settings = PATIENT,
    rules: RuleSet = RULES,
    cached_customers: int = 20_000,
    out_of_orderness_ms: int = 5_000,
    similar: SimilarSettings = SIMILAR,
) -> Finished:
    """A bounded run: feed the lines in the order given, then let time pass until `as_of_ms`."""
    logic = CustomerLogic(
        settings, rules, similar, as_of_ms=as_of_ms, cached_customers=cached_customers, now_ms=lambda: NOW_MS
    )
    finished = _fed(LocalRun(logic, out_of_orderness_ms), lines)
    finished.outputs += finished.local.close()
    finished.until_ms = as_of_ms
    for channel, key, payload in finished.outputs:
        if channel == Channel.COUNTS and key:
            finished.counts[key] = json.loads(payload)
        finished.rejected += channel == Channel.REJECTED
    return finished


def run_live(
    lines: Iterable[bytes],
    until_ms: int,
    *,
    settings: Settings = PATIENT,
    rules: RuleSet = RULES,
    cached_customers: int = 20_000,
    out_of_orderness_ms: int = 5_000,
    similar: SimilarSettings = SIMILAR,
) -> Finished:
    """A live job: feed the lines, then let the watermark reach `until_ms` (an event of nobody takes it there)."""
    logic = CustomerLogic(settings, rules, similar, cached_customers=cached_customers, now_ms=lambda: NOW_MS)
    finished = _fed(LocalRun(logic, out_of_orderness_ms), lines)
    finished.outputs += finished.local.feed("", until_ms + out_of_orderness_ms, b"nobody\x1f{}")
    finished.until_ms = until_ms
    return finished


def _fed(local: LocalRun, lines: Iterable[bytes]) -> Finished:
    finished = Finished(local.logic, local, [], 0)
    for line in lines:
        finished.read += 1
        key, time_ms = key_and_time(line) or ("", None)
        finished.outputs += local.feed(key, time_ms, b"file:1\x1f" + line)
    return finished


def in_time(lines: Iterable[bytes], lateness_ms: int, out_of_orderness_ms: int = 5_000) -> list[bytes]:
    """The events that are not too late, arriving in this order: the limit itself is still in time."""
    kept: list[bytes] = []
    watermark_ms = -1
    for line in lines:
        known = key_and_time(line)
        if known is None:
            continue
        if known[1] >= watermark_ms - lateness_ms:
            kept.append(line)
        watermark_ms = max(watermark_ms, known[1] - out_of_orderness_ms)
    return kept


def order_of(line: bytes) -> tuple[int, str]:
    known = key_and_time(line)
    return (known[1], json.loads(line)["event_id"]) if known else (0, "")


def in_order(lines: Iterable[bytes]) -> list[bytes]:
    return sorted(lines, key=order_of)


def shuffled(lines: Iterable[bytes], within_ms: int, seed: int) -> list[bytes]:
    """Each line arrives up to `within_ms` late."""
    random = Random(seed)
    return sorted(lines, key=lambda line: order_of(line)[0] + random.random() * within_ms)
