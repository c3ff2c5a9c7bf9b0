"""A run held against the oracles."""

from math import isclose
from typing import Any

from segmill_runs import Run, read

from tests.oracle.changes import effective_changes, replay_into_map
from tests.oracle.events import parse_events
from tests.oracle.features import batch_features
from tests.oracle.plain import history_of


def differences(run: Run, lines: list[bytes]) -> list[tuple[str, str, Any, Any]]:
    """(customer, feature, computed by SQL, exported) where they are not the same; floats to nine digits."""
    found: list[tuple[str, str, Any, Any]] = []
    as_of_ms, currency = run.summary["as_of_ms"], run.summary["currency"]
    expected = batch_features(lines, as_of_ms, currency)
    denied = customers_without_consent(lines, as_of_ms, currency)
    exported = run.features
    assert exported.keys() == expected.keys() - denied
    for customer, features in exported.items():
        wanted = {name: value for name, value in expected[customer].items() if value is not None}
        for name in wanted.keys() | features.keys():
            one, other = wanted.get(name), features.get(name)
            if one != other and not (
                isinstance(one, float) and other is not None and isclose(one, other, rel_tol=1e-9)
            ):
                found.append((customer, name, one, other))
    return found


def _close(one: Any, other: Any) -> bool:
    return isinstance(one, float) and isinstance(other, float) and isclose(one, other, rel_tol=1e-9)


def customers_without_consent(lines: list[bytes], as_of_ms: int, currency: str) -> set[str]:
    """Whose profiles are withdrawn."""
    events: dict[str, list[Any]] = {}
    for event in parse_events(lines, currency):
        events.setdefault(event.subject, []).append(event)
    return {subject for subject, theirs in events.items() if history_of(theirs, as_of_ms).denied}


def true_changes(run: Run) -> list[tuple[Any, ...]]:
    """The changes without those that were taken back or replaced on the way."""
    names = ("customer_id", "segment", "at_ms", "change", "since_ms")
    effective = effective_changes(read(run.out / "segment-changes.jsonl"))
    return sorted(tuple(record[name] for name in names) for record in effective)


def check_memberships(run: Run) -> None:
    """The changes, replayed into a map, are what profiles, segments and the summary say."""
    members: dict[str, set[str]] = {}
    for customer, segment in replay_into_map(read(run.out / "segment-changes.jsonl")):
        members.setdefault(segment, set()).add(customer)
    assert {line["segment"]: set(line["members"]) for line in read(run.export / "segments.jsonl")} == members
    of_profiles: dict[str, set[str]] = {}
    for customer, segments in run.memberships.items():
        for segment in segments:
            of_profiles.setdefault(segment, set()).add(customer)
    assert of_profiles == members
    assert {name: count for name, count in run.summary["members"].items() if count} == {
        name: len(customers) for name, customers in members.items()
    }
