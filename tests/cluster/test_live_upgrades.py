"""Savepoints of releases before: a job goes on from each, at another parallelism, as if it had never stopped."""

import gzip
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from jobs.stack.stack import Stack
from schemas.decode import Decoder
from schemas.facts import Kind
from schemas.settings import HOUR_MS, Settings
from state.rules.ruleset import load_rules
from tests.cluster.live_jobs import LiveJob, Memberships, cancelled, folded, lines
from tests.cluster.publishing import assert_same, exported, publish
from tests.cluster.records import records
from tests.cluster.stored_savepoint import FOLDER, POPULATION, filled, kind_of, savepoint_of
from tests.cluster.waiting import until
from tests.end_to_end.segmill_runs import EXPORTS, Run, run, subject_of, write

pytestmark = pytest.mark.cluster
VERSIONS = sorted(path.name for path in FOLDER.iterdir())
ASKING = set(load_rules().remainder.names)
UNKNOWN = {"0.1": ("experiments.jsonl",)}
"""What a release did not count yet: nobody can know it of what came before."""


def busiest(log: list[bytes]) -> tuple[str, int, int]:
    """Of the customer with most views: id, number of views, time of the last event of all (ms)."""
    facts = [Decoder(Settings()).decode(line) for line in log]
    viewed = [subject for subject, fact in facts if fact.kind == Kind.PRODUCT_VIEWED]
    customer = max(sorted(set(viewed)), key=viewed.count)
    return customer, viewed.count(customer), max(fact.time_ms for _, fact in facts)


@contextmanager
def restored(stack: Stack, version: str, folder: Path) -> Iterator[LiveJob]:
    """A job that goes on from a stored savepoint, at another parallelism, with the log of that where it was."""
    job = kind_of(version).job(stack, version)
    filled(job, FOLDER / version / "log.jsonl.gz")
    with cancelled(job):
        job.submit("--from-savepoint", savepoint_of(version, folder), "--parallelism", "2")
        yield job


def happens(job: LiveJob, customer: str, at_ms: int, **more: object) -> bytes:
    """An event after the savepoint, a view unless `more` says otherwise; as it is in the topic."""
    known = {"type": "product_viewed", "product_id": "p"}
    event = {"event_id": f"after-{at_ms}", "timestamp": at_ms, "customer_id": customer, **(more or known)}
    raw = json.dumps(event).encode()
    job.produce((b"", raw, at_ms))
    return raw


@pytest.mark.parametrize("version", [name for name in VERSIONS if kind_of(name) is not POPULATION])
def test_a_stored_savepoint_is_restored(stack: Stack, version: str, tmp_path: Path) -> None:
    """What it knew is added to what comes: nothing is forgotten, and nothing is read twice."""
    log = FOLDER / version / "log.jsonl.gz"
    customer, views, newest_ms = busiest(gzip.decompress(log.read_bytes()).splitlines())
    with restored(stack, version, tmp_path) as job:
        raw = happens(job, customer, newest_ms + HOUR_MS)
        job.await_all_read()
        as_of_ms = publish(job, "--at", newest_ms + HOUR_MS + 2_000)["written_ms"]
        logs = log, write(tmp_path / "after.jsonl", [raw])
        known = [name for name in EXPORTS if name not in UNKNOWN.get(version, ())]
        live = exported(job, tmp_path / "live")
        assert_same(live, logs, as_of_ms, tmp_path, more_lines_than=1, names=known)  # it is a small log
        (profile,) = (one for one in lines(tmp_path / "live" / "profiles.jsonl") if one["customer_id"] == customer)
        assert profile["features"]["views_90d"] == views + 1
        assert job.restarts() == 0


@pytest.mark.parametrize("version", [name for name in VERSIONS if kind_of(name) is POPULATION])
def test_a_stored_population_is_restored(stack: Stack, version: str, tmp_path: Path) -> None:
    """It goes on: with the next view, the same clusters, the members of before, and the totals of who never stopped."""
    log = FOLDER / version / "log.jsonl.gz"
    told = json.loads((FOLDER / version / "told.json").read_bytes())
    events = gzip.decompress(log.read_bytes()).splitlines()
    customer, _, newest_ms = busiest(events)
    another = next(subject for subject in map(subject_of, events) if subject != customer)
    with restored(stack, version, tmp_path) as job:
        product = {"product_id": "p", "quantity": 1, "price": 5_000}
        order = {"type": "order_completed", "order_id": "after", "products": [product]}
        later_ms = newest_ms + 9 * HOUR_MS  # by then the order has been counted
        raws = [happens(job, customer, newest_ms + HOUR_MS, **order), happens(job, another, later_ms)]
        job.await_all_read()
        as_of_ms = publish(job, "--at", later_ms + 2_000)["written_ms"]
        job.next_checkpoints()
        live = exported(job, tmp_path / "live")
        settings = tmp_path / "settings.toml"
        settings.write_text(POPULATION.settings, encoding="utf-8")
        logs = log, write(tmp_path / "after.jsonl", raws)
        never_stopped = run(tmp_path, *logs, *("--as-of", as_of_ms), "--population", *("--settings", settings))
        assert_own_facts(live, never_stopped)
        models = [json.loads(one.value()) for one in records(job.bootstrap, job.topics.models.name)]
        assert_goes_on(models, told["view"])
        newest = [record for record in models if record["kind"] == "view"][-1]
        expected = [record for record in lines(never_stopped.out / "models.jsonl") if record["kind"] == "view"][-1]
        for feature in ("revenue_total_cents", "orders_total > 0"):  # what passing time does not change
            assert newest["percentiles"][feature]["points"] == expected["percentiles"][feature]["points"]
        members = after(told["segments"], job.changes_said())
        assert (customer, "high-value") in members
        assert len(members) > 1
        until(lambda: asking(job.memberships_in_redis()) == members, "Redis has the memberships")
        assert job.restarts() == 0


def assert_own_facts(live: Path, expected: Run) -> None:
    """Everything but what asks about the population is as of a run over all events."""
    for name in ("similar.jsonl", "experiments.jsonl"):
        assert (live / name).read_bytes() == (expected.export / name).read_bytes()
    assert expected.summary["late"] == 0
    found = {profile["customer_id"]: profile for profile in lines(live / "profiles.jsonl")}
    assert found.keys() == expected.features.keys()
    assert len(found) > 20
    for customer, profile in found.items():
        own, others = (
            {name: value for name, value in one.items() if not name.startswith("rfm_")}
            for one in (profile["features"], expected.features[customer])
        )
        assert own == others
        segments, expected_segments = (
            [name for name in names if name not in ASKING]
            for names in (profile["segments"], expected.memberships[customer])
        )
        assert segments == expected_segments


def assert_goes_on(models: list[dict[str, Any]], before: dict[str, Any]) -> None:
    """Numbers of views, and ids of clusters: who is new among them is said to be, and not all are."""
    views = [record for record in models if record["kind"] == "view"]
    assert [view["view"] for view in views] == list(range(before["view"] + 1, before["view"] + 1 + len(views)))
    assert views
    known = {one["id"] for one in before["clusters"]}
    new = {record["cluster_id"] for record in models if record["kind"] in ("born", "split")}
    shown = {one["id"] for one in views[-1]["clusters"]}
    assert shown & known
    assert shown <= known | new
    assert min(new, default=max(known) + 1) > max(known)


def after(segments: dict[str, dict[str, int]], changes: list[dict[str, Any]]) -> Memberships:
    """Who is in what asks about the population: as was told before, and what has changed since."""
    found = {(customer, name): at_ms for customer, since in segments.items() for name, at_ms in since.items()}
    for change in changes:
        member = change["customer_id"], change["segment"]
        if change["segment"] in ASKING:
            assert (member in found) is (change["change"] == "left")
            found.pop(member, None)
            found |= folded([change])
    return found


def asking(members: Memberships) -> Memberships:
    """Those of segments that ask about the population."""
    return {member: at_ms for member, at_ms in members.items() if member[1] in ASKING}
