"""Live runs in which other rules come into force on the way, with what every customer has to take up when."""

import json
from dataclasses import dataclass, field
from random import Random
from typing import Any

from customer_runs import NOW_MS, PATIENT, SIMILAR, Finished, key_and_time
from oracle.memberships import Rule
from rules_twice import ALL

from schemas.settings import DAY_MS, HOUR_MS, Settings
from state.channels import Channel
from state.customer.logic import CustomerLogic
from state.local import LocalRun


@dataclass(frozen=True)
class Publication:
    """Rules that are published before line `before` is read."""

    before: int
    which: str
    effective_ms: int | None = None


@dataclass
class Ruled:
    """A run after its end; for each customer, from when on which rules are in force."""

    finished: Finished
    took_up: dict[str, list[tuple[int, str]]] = field(default_factory=dict)

    def later(self, key: str) -> list[tuple[int, list[Rule]]]:
        return [(from_ms, ALL[which][1]) for from_ms, which in self.took_up[key][1:]]

    def which_at(self, key: str, at_ms: int) -> str:
        return [which for from_ms, which in self.took_up[key] if from_ms <= at_ms][-1]


def control(control_id: str, which: str, effective_ms: int | None = None) -> bytes:
    record: dict[str, Any] = {"control_id": control_id, "kind": "rules", "rules": ALL[which][0].text}
    if effective_ms is not None:
        record["effective_ms"] = effective_ms
    return b"control:0:1\x1f" + json.dumps(record).encode()


def random_publications(random: Random, lines: list[bytes]) -> list[Publication]:
    """At any time, some of them for a time before or after it, some one after the other at once."""
    times = [key_and_time(line)[1] for line in lines]
    found = []
    for _ in range(random.randint(1, 5)):
        before = random.randrange(len(lines) + 1) if not found or random.random() < 0.7 else found[-1].before
        effective_ms = None
        if random.random() < 0.5:
            effective_ms = random.choice(times) + random.choice((-DAY_MS, -1, 0, 0, 1, HOUR_MS, DAY_MS, 5 * DAY_MS))
        found.append(Publication(before, random.choice(sorted(ALL)), effective_ms))
    return sorted(found, key=lambda one: one.before)


def run_ruled(
    lines: list[bytes],
    until_ms: int,
    publications: list[Publication],
    *,
    first: str = "test",
    settings: Settings = PATIENT,
    cached_customers: int = 20_000,
    out_of_orderness_ms: int = 5_000,
    visits: bool = True,
) -> Ruled:
    """`visits`: whether customers are woken as rules come into force, or learn of them when they are next looked at."""
    logic = CustomerLogic(settings, ALL[first][0], SIMILAR, cached_customers=cached_customers, now_ms=lambda: NOW_MS)
    local = LocalRun(logic, out_of_orderness_ms)
    if not visits:
        local._wake_all = lambda time_ms: None  # type: ignore[method-assign]
    local.start()
    keys = {key_and_time(line)[0] for line in lines}
    ruled = Ruled(Finished(logic, local, [], 0), {key: [(-1, first)] for key in keys})
    said = ruled.finished.outputs
    for number in range(len(lines) + 1):
        for at, one in enumerate(publications):
            if one.before == number:
                _expect(ruled, one)
                said += local.control(control(f"{number}-{at}", one.which, one.effective_ms))
        if number < len(lines):
            key, time_ms = key_and_time(lines[number])
            said += local.feed(key, time_ms, b"file:1\x1f" + lines[number])
    said += local.feed("", until_ms + out_of_orderness_ms, b"nobody\x1f{}")
    if not visits:
        for key in keys:  # an event of today: whoever had none before learns of the rules with it
            said += local.feed(key, until_ms + 1, b"file:2\x1f" + last_view(key, until_ms + 1))
        until_ms += 1
    ruled.finished.until_ms = until_ms
    return ruled


def last_view(key: str, at_ms: int, event_id: str = "last") -> bytes:
    event = {"event_id": event_id, "type": "product_clicked", "timestamp": at_ms, "customer_id": key}
    return json.dumps(event | {"product_id": "p"}).encode()


def _expect(ruled: Ruled, one: Publication) -> None:
    local = ruled.finished.local
    from_ms = max(one.effective_ms or 0, local.watermark_ms)
    for key, took_up in ruled.took_up.items():
        clock_ms = ruled.finished.customer(key).fold.clock_ms if key in local.stores else -1
        while took_up[-1][0] > clock_ms and took_up[-1][0] >= from_ms and len(took_up) > 1:
            took_up.pop()
        if took_up[-1][0] <= from_ms or took_up[-1][0] <= clock_ms:
            took_up.append((max(from_ms, clock_ms), one.which))


def changes_of(finished: Finished) -> list[dict[str, Any]]:
    return [json.loads(payload) for channel, _, payload in finished.outputs if channel == Channel.SEGMENT_CHANGE]
