"""The main job, embedded: from log files to Redis and to files, in one call."""

import json
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec

from jobs.currency import currency_of
from jobs.file_results import joined
from jobs.intake import Intake, fill_spool
from jobs.runtime.flink import JobSpec, prepare, run_job
from jobs.runtime.gateway import Gateway
from jobs.runtime.valkey import SNAPSHOT, EmbeddedValkey
from jobs.spool import SpoolWriter
from jobs.summary import Summary
from operators.redis_connection import RedisTarget
from schemas.changes import SegmentChange
from schemas.logs import Log
from schemas.settings import Settings
from schemas.timestamps import format_ms
from schemas.writes import meta_write
from state.customer.counts import NEVER_MS
from state.rules.ruleset import RuleSet

SCHEMA_VERSION = 1


@dataclass(frozen=True, slots=True)
class RunPlan:
    """What to run."""

    log: Log
    settings: Settings
    currency_given: bool
    """False: the log's own currency is looked for."""
    rules: RuleSet
    out: Path
    as_of_ms: int | None = None
    redis_url: str | None = None
    mode: str = "thread"


class Progress:
    """What a run tells while it goes on; this one keeps it to itself."""

    def say(self, text: str) -> None: ...

    def reading(self, records: int, position_bytes: int, total_bytes: int) -> None: ...

    def processing(self, events: int, total: int) -> None: ...


class EmptyLogError(Exception):
    """Nothing in the log could be applied, so there is no time as of which to run."""


def run(plan: RunPlan, folder: Path, progress: Progress) -> Summary:
    """Run the job and leave its results in `plan.out`; `folder` is a private one for everything else.

    Raises:
        LogError: the log cannot be read.
        EmptyLogError: it holds no valid event.
        RuntimeProblem: Java, Valkey or the job failed.
        ConservationError: outcomes do not add up.
    """
    plan.out.mkdir(parents=True, exist_ok=True)
    began = time.monotonic()
    with _redis(plan, folder, progress) as (target, valkey), Gateway(folder / "java") as gateway:
        progress.say(f"Java {gateway.java.version}: {gateway.java.origin}")
        with ThreadPoolExecutor(1) as pool:
            ready = pool.submit(prepare, gateway)  # Java loads what it needs while the log is being read
            settings, intake, spool = _read(plan, folder, progress)
            ready.result()
        as_of_ms = plan.as_of_ms if plan.as_of_ms is not None else intake.newest_ms
        if as_of_ms is None:
            raise EmptyLogError("the log holds no valid event; what was read is in no way lost: see --format, and try "
                                "`segmill run --format canonical` on one file")  # fmt: skip
        spec = JobSpec(
            spool=spool,
            logics=_logics(settings, plan.rules, as_of_ms),
            folder=folder / "job",
            out_of_orderness_ms=settings.out_of_orderness_ms,
            redis=target,
            mode=plan.mode,
        )
        progress.say(f"replaying {intake.read:,} records as of {format_ms(as_of_ms)}, rules {plan.rules.version}")
        result = run_job(gateway, spec, lambda done: progress.processing(done, intake.read))
        _write_meta(target, plan, as_of_ms)
        if valkey is not None:
            valkey.save(plan.out / SNAPSHOT)
    summary = _summary(plan, settings, intake, as_of_ms)
    summary.add_counts(joined(result.counts))
    summary.add_rejected(_kept(result.rejected, plan.out / "rejected.jsonl"))
    summary.segment_changes = sum(1 for _ in _kept(result.segment_changes, plan.out / "segment-changes.jsonl"))
    summary.members = _members(plan.out / "segment-changes.jsonl", plan.rules)
    summary.wall_s = round(time.monotonic() - began, 3)
    summary.events_per_s = round(result.processed / result.wall_s, 1) if result.wall_s else 0.0
    text = json.dumps(summary.as_dict(), indent=2, ensure_ascii=False) + "\n"
    (plan.out / "summary.json").write_text(text, encoding="utf-8")
    summary.check()
    return summary


def bounded_settings(settings: Settings) -> Settings:
    """Settings for a run that ends: profiles are written when memberships change, and all of them at the end."""
    return msgspec.structs.replace(settings, profile_interval_ms=NEVER_MS, profile_refresh_ms=0)


@contextmanager
def _redis(plan: RunPlan, folder: Path, progress: Progress) -> Iterator[tuple[RedisTarget, EmbeddedValkey | None]]:
    prefix = plan.settings.redis_prefix
    if plan.redis_url is not None:
        target = RedisTarget(plan.redis_url, prefix)
        progress.say(f"Redis: {target.address}")
        yield target, None
        return
    with EmbeddedValkey(folder / "valkey") as valkey:
        progress.say("Redis: an embedded Valkey on a private socket")
        yield RedisTarget(valkey.url, prefix), valkey


def _read(plan: RunPlan, folder: Path, progress: Progress) -> tuple[Settings, Intake, Path]:
    log, settings = plan.log, bounded_settings(plan.settings)
    if not plan.currency_given:
        settings = msgspec.structs.replace(settings, currency=currency_of(log))
    with SpoolWriter(folder / "spool") as spool:
        intake = fill_spool(
            log,
            settings,
            spool,
            plan.as_of_ms,
            lambda records: progress.reading(records, log.position_bytes, log.total_bytes),
        )
    return settings, intake, spool.path


def _logics(settings: Settings, rules: RuleSet, as_of_ms: int) -> "Logics":  # type: ignore[name-defined]  # noqa: F821
    from jobs.factories import logics  # imports PyFlink, which takes seconds: not before it is needed

    return logics(settings, rules.text, rules.source, as_of_ms)


def _write_meta(target: RedisTarget, plan: RunPlan, as_of_ms: int) -> None:
    from operators.redis_connection import RedisConnection

    fields = {
        "schema_version": str(SCHEMA_VERSION),
        "rule_version": plan.rules.version,
        "watermark_ms": str(as_of_ms),
    }
    RedisConnection(target).send([meta_write(as_of_ms, fields)])


def _kept(results: Path, path: Path) -> Iterator[bytes]:
    """The lines of a result, written to `path` on their way."""
    with path.open("wb") as out:
        for line in joined(results):
            out.write(line)
            yield line


def _members(changes: Path, rules: RuleSet) -> dict[str, int]:
    """How many customers each segment has in the end: the changes replayed, as any subscriber would."""
    members: dict[str, set[str]] = {name: set() for name in rules.names}
    decode = msgspec.json.Decoder(SegmentChange).decode
    with changes.open("rb") as lines:
        for line in lines:
            change = decode(line)
            keep: Callable[[str], None] = (
                members[change.segment].add if change.change == "entered" else members[change.segment].discard
            )
            keep(change.customer_id)
    return {name: len(customers) for name, customers in members.items()}


def _summary(plan: RunPlan, settings: Settings, intake: Intake, as_of_ms: int) -> Summary:
    return Summary(
        read=intake.read,
        rows=intake.rows,
        after_as_of=intake.after_as_of,
        as_of_ms=as_of_ms,
        currency=settings.currency,
        rule_version=plan.rules.version,
        waiting=dict(plan.rules.waiting),
    )
