"""The main job, embedded: from log files to Redis and to files, in one call."""

import json
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import chain
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from jobs.currency import currency_of
from jobs.file_results import joined
from jobs.intake import Intake, fill_spool
from jobs.outputs import MODELS, REJECTED, SEGMENT_CHANGES, SUMMARY, OutputFolder, output_folder
from jobs.runtime.flink import JobResult, JobSpec, prepare, run_job
from jobs.runtime.gateway import Gateway
from jobs.runtime.valkey import SNAPSHOT, EmbeddedValkey
from jobs.spool import SpoolWriter
from jobs.summary import Summary
from operators.redis_connection import RedisConnection, RedisTarget
from schemas.changes import SegmentChange
from schemas.keys import Keys
from schemas.logs import Log
from schemas.settings import Settings
from schemas.timestamps import format_ms
from schemas.writes import meta_write
from state.population.settings import population_settings
from state.rules.ruleset import RuleSet

if TYPE_CHECKING:
    from jobs.graph import Logics

SCHEMA_VERSION = 1
_TIME_AND_ID = itemgetter(0, 1)


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
    redis_url: str | None = field(default=None, repr=False)
    mode: str = "thread"


class Progress:
    """What a run tells while it goes on; this one keeps it to itself."""

    def say(self, text: str) -> None: ...

    def warn(self, text: str) -> None: ...

    def reading(self, records: int, position_bytes: int, total_bytes: int) -> None: ...

    def processing(self, events: int, total: int) -> None: ...


class EmptyLogError(Exception):
    """Nothing in the log could be applied, so there is no time as of which to run."""


def run(plan: RunPlan, folder: Path, progress: Progress) -> Summary:
    """Run the job and leave its results in `plan.out`; `folder` is a private one for everything else.

    Raises:
        LogError: the log cannot be read.
        EmptyLogError: it holds no valid event.
        OutputError: `plan.out` cannot be used.
        RuntimeProblem: Java, Valkey or the job failed.
        RedisFailure: no Redis answers at the address given.
        ConservationError: outcomes do not add up.
    """
    began = time.monotonic()
    with (
        output_folder(plan.out) as out,
        _redis(plan, folder, progress) as (target, valkey),
        Gateway(folder / "java") as gateway,
    ):
        progress.say(f"Java {gateway.java.version}: {gateway.java.origin}")
        with ThreadPoolExecutor(1) as pool:
            ready = pool.submit(prepare, gateway)  # Java loads what it needs while the log is being read
            settings, intake, spool = _read(plan, folder, progress)
            ready.result()
        as_of_ms = _as_of_ms(plan, intake)
        if valkey is None:
            _warn_of_newer(target, as_of_ms, progress)
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
        _write_meta(target, plan, settings, as_of_ms)
        if valkey is not None:
            valkey.save(out.part(SNAPSHOT))
        summary = _summary(plan, settings, intake, as_of_ms)
        _collect(summary, result, out, _segments(plan), with_models=_with_population(plan))
        summary.wall_s = round(time.monotonic() - began, 3)
        summary.check()  # before anything of the run before is replaced
        text = json.dumps(summary.as_dict(), indent=2, ensure_ascii=False) + "\n"
        out.part(SUMMARY).write_text(text, encoding="utf-8")
        out.finish()
    return summary


@contextmanager
def _redis(plan: RunPlan, folder: Path, progress: Progress) -> Iterator[tuple[RedisTarget, EmbeddedValkey | None]]:
    prefix = plan.settings.redis_prefix
    if plan.redis_url is not None:
        target = RedisTarget(plan.redis_url, prefix)
        target.reached().close()  # asked once, before any work: later the job waits for a Redis that does not answer
        progress.say(f"Redis: {target.address}")
        yield target, None
        return
    with EmbeddedValkey(folder / "valkey") as valkey:
        progress.say("Redis: an embedded Valkey on a private socket")
        yield RedisTarget(valkey.url, prefix), valkey


def _warn_of_newer(target: RedisTarget, as_of_ms: int, progress: Progress) -> None:
    with target.connect() as client:
        there = client.hget(Keys(target.prefix).meta, "as_of_ms")
    if there is not None and int(there) > as_of_ms:
        progress.warn(
            f"{target.address} holds results as of {format_ms(int(there))}: what is newer there stays. For this run "
            "alone take an empty Redis or another redis_prefix (--settings)"
        )


def _read(plan: RunPlan, folder: Path, progress: Progress) -> tuple[Settings, Intake, Path]:
    log, settings = plan.log, plan.settings
    if not plan.currency_given:
        settings = msgspec.structs.replace(settings, currency=currency_of(log))

    def on_progress(records: int, position_bytes: int) -> None:
        progress.reading(records, position_bytes, log.total_bytes)

    with SpoolWriter(folder / "spool") as spool:
        intake = fill_spool(log, settings, spool, plan.as_of_ms, on_progress)
    return settings, intake, spool.path


def _as_of_ms(plan: RunPlan, intake: Intake) -> int:
    if intake.newest_ms is not None:
        return intake.newest_ms if plan.as_of_ms is None else plan.as_of_ms
    if intake.after_as_of:
        raise EmptyLogError(f"all {intake.after_as_of:,} events of the log are later than --as-of")
    if not intake.read:
        raise EmptyLogError("the log is empty: no record in it")
    reasons = ", ".join(f"{reason} {count:,}" for reason, count in intake.refused.most_common(3))
    raise EmptyLogError(
        f"no valid event among {intake.read:,} records ({reasons}; the first: {intake.first_refused}). "
        "Is --format right? docs/events.md says what an event needs"
    )


def _logics(settings: Settings, rules: RuleSet, as_of_ms: int) -> "Logics":
    from jobs.factories import logics  # imports PyFlink, which takes seconds: not before it is needed

    return logics(settings, rules.text, rules.source, as_of_ms)


def _write_meta(target: RedisTarget, plan: RunPlan, settings: Settings, as_of_ms: int) -> None:
    fields = {
        "schema_version": str(SCHEMA_VERSION),
        "rule_version": plan.rules.version,
        "watermark_ms": str(as_of_ms),
        "currency": settings.currency,
    }
    RedisConnection(target).send([meta_write(as_of_ms, fields)])


def _segments(plan: RunPlan) -> tuple[str, ...]:
    """Those that run, in the file's order."""
    waiting = _waiting(plan)
    return tuple(one.name for one in plan.rules.segments if one.name not in waiting)


def _waiting(plan: RunPlan) -> dict[str, str]:
    """Those that do not, with the reason."""
    return {} if _with_population(plan) else dict(plan.rules.waiting)


def _with_population(plan: RunPlan) -> bool:
    return population_settings(plan.settings).enabled


def _collect(
    summary: Summary, result: JobResult, out: OutputFolder, segments: tuple[str, ...], *, with_models: bool
) -> None:
    """Everything that the job left in its folder."""
    summary.add_counts(joined(result.counts))
    summary.add_rejected(out.write(REJECTED, joined(result.rejected)))
    changes = chain(joined(result.segment_changes), _in_order(joined(result.population_changes)))
    summary.members, summary.segment_changes = _members(out.write(SEGMENT_CHANGES, changes), segments)
    if with_models:
        summary.views = _views(out.write(MODELS, joined(result.models)))
    summary.events_per_s = round(result.processed / result.wall_s, 1) if result.wall_s else 0.0


def _in_order(changes: Iterable[bytes]) -> list[bytes]:
    """By time and customer; a customer's in the order in which they were said.

    Customers whose changes are of one time come in no certain order: watermarks come to their operator from two sides.
    """
    decode = msgspec.json.Decoder(SegmentChange).decode
    keyed = ((decode(line), line) for line in changes)
    return [line for *_, line in sorted(((one.at_ms, one.customer_id, line) for one, line in keyed), key=_TIME_AND_ID)]


def _views(events: Iterable[bytes]) -> int:
    """How often something new was said of the population."""
    return sum(msgspec.json.decode(line)["kind"] == "view" for line in events)


def _members(changes: Iterable[bytes], segments: tuple[str, ...]) -> tuple[dict[str, int], int]:
    """How many customers each segment has in the end, the changes replayed as any subscriber would; and the changes."""
    members: dict[str, set[str]] = {name: set() for name in segments}
    decode = msgspec.json.Decoder(SegmentChange).decode
    count = 0
    for line in changes:
        change = decode(line)
        segment = members[change.segment]
        keep: Callable[[str], None] = segment.add if change.change == "entered" else segment.discard
        keep(change.customer_id)
        count += 1
    return {name: len(customers) for name, customers in members.items()}, count


def _summary(plan: RunPlan, settings: Settings, intake: Intake, as_of_ms: int) -> Summary:
    return Summary(
        read=intake.read,
        rows=intake.rows,
        after_as_of=intake.after_as_of,
        as_of_ms=as_of_ms,
        currency=settings.currency,
        rule_version=plan.rules.version,
        waiting=_waiting(plan),
    )
