"""Jobs on a stack of this machine, from a topic to topics: submitted, watched, stopped.

`customers_only` is what the peers do as well: the customer logic alone, with the settings of a run that ends, its
segment changes to a topic, exactly once. `whole` is the live job as `segmill submit` starts it, similar items and Redis
included.
"""

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from benchmarks.embedded import Watched
from jobs.kafka_client import KafkaTarget
from jobs.live.rest import Cluster
from jobs.live.settings import LiveSpec
from jobs.live.submit import submit
from jobs.stack.stack import Stack
from jobs.topic_care import TopicCare
from jobs.topics import Topics
from operators.progress import read_progress
from operators.redis_connection import RedisTarget
from schemas.settings import Settings
from state.rules.ruleset import load_rules

CHECKPOINT_EVERY_MS = 5_000
_LOOK_S = 0.1
_PATIENCE_S = 3_600.0


def live_spec(stack: Stack, prefix: str, parallelism: int, settings: Settings | None = None) -> LiveSpec:
    """A job of its own over the topics of a prefix; with the default settings, if it is given no others."""
    rules = load_rules()
    return LiveSpec(
        kafka=KafkaTarget(stack.plan.bootstrap),
        redis=RedisTarget(stack.plan.redis_url, prefix),
        settings=msgspec.structs.replace(settings or Settings(), redis_prefix=prefix),
        rules=rules.text,
        rules_source=rules.source,
        rule_version=rules.version,
        topics=Topics(prefix),
        name=f"bench-{prefix}{parallelism}",
        parallelism=parallelism,
        checkpoint_every_ms=CHECKPOINT_EVERY_MS,
    )


def make_topics(spec: LiveSpec, partitions: int) -> None:
    """The topics of a job."""
    TopicCare(spec.kafka).create(spec.topics.all, partitions, 1, repair=False)


def customers_only(spec: LiveSpec, stack: Stack, folder: Path, events: int, as_of_ms: int) -> Watched:
    """Run until all events are through."""
    import jobs.live.job
    import jobs.live.submit

    progress = folder / f"progress-{spec.name}-{time.monotonic_ns()}"
    progress.mkdir(parents=True)

    def add(environment: Any, spec: LiveSpec) -> None:
        from pyflink.table import StreamTableEnvironment

        from jobs.factories import logics
        from jobs.graph import MAX_PARALLELISM, Graph, GraphOptions, Logics, Outlets
        from jobs.live.sinks import TopicSinks
        from jobs.live.source import add_events

        environment.set_parallelism(spec.parallelism)
        environment.set_max_parallelism(MAX_PARALLELISM)
        tables = StreamTableEnvironment.create(environment)
        sinks = TopicSinks(tables, spec)
        outlets = Outlets(segment_changes=sinks.keyed(spec.topics.segment_changes))
        options = GraphOptions(
            bounded=False,
            one_subtask=spec.parallelism == 1,
            progress_dir=progress,
        )
        graph = Graph(tables, outlets, options)
        clocked = add_events(tables, spec)
        all_logics = logics(spec.settings, spec.rules, spec.rules_source, as_of_ms=as_of_ms)
        graph.build(lambda _: clocked.events, Logics(all_logics.customer))
        graph.to_redis(clocked.redis, "clock")

    jobs.live.job.add_live_job = add
    return _watch(spec, stack, folder, events, progress)


def whole(spec: LiveSpec, stack: Stack, folder: Path, events: int) -> Watched:
    """The live job itself, until all events are through."""
    return _watch(spec, stack, folder, events, shown_in(spec, folder))


def grown(
    spec: LiveSpec, stack: Stack, folder: Path, events: int, settings: Mapping[str, str]
) -> tuple[Watched, dict[str, Any]]:
    """The same with some of Flink's settings, and what Flink told of its checkpoints just before the end."""
    cluster = Cluster(stack.plan.rest)
    told: dict[str, Any] = {}

    def note(job_id: str) -> None:
        told.update(cluster.checkpoints(job_id))

    watched = _watch(spec, stack, folder, events, shown_in(spec, folder), settings, note)
    return watched, told


def submitted(
    spec: LiveSpec,
    stack: Stack,
    folder: Path,
    settings: Mapping[str, str] | None = None,
    from_savepoint: str | None = None,
) -> tuple[Cluster, str]:
    """Submit the job to the stack, without a word; the cluster, and the job's id there."""
    cluster = Cluster(stack.plan.rest)
    private = folder / f"submit-{time.monotonic_ns()}"
    private.mkdir()
    return cluster, submit(spec, cluster, private, lambda text: None, from_savepoint=from_savepoint, settings=settings)


def shown_in(spec: LiveSpec, folder: Path) -> Path:
    """A folder in which the live job that this process submits shows how far it is."""
    import jobs.graph
    import jobs.live.job

    progress = folder / f"progress-{spec.name}-{time.monotonic_ns()}"
    progress.mkdir(parents=True)
    options = jobs.graph.GraphOptions
    jobs.live.job.GraphOptions = lambda **given: options(**given, progress_dir=progress)
    return progress


def _watch(
    spec: LiveSpec,
    stack: Stack,
    folder: Path,
    events: int,
    progress: Path,
    settings: Mapping[str, str] | None = None,
    at_the_end: Callable[[str], None] = lambda job_id: None,
) -> Watched:
    cluster, job_id = submitted(spec, stack, folder, settings)
    watched = Watched(events)
    deadline = time.monotonic() + _PATIENCE_S
    try:
        while not watched.seen or watched.seen[-1][1] < events:
            assert time.monotonic() < deadline, f"{watched.seen[-1:]} of {events} events"
            time.sleep(_LOOK_S)
            watched.note(min(events, shown(progress, events)))
        next_checkpoint(cluster, job_id, deadline)
        at_the_end(job_id)
    finally:
        cluster.cancel(job_id)
    return watched


def shown(progress: Path, events: int) -> int:
    """The operators show their count every 256 events: the last ones stay unseen while they run."""
    shown = read_progress(progress)
    return events if shown > events - 256 * max(1, len(list(progress.iterdir()))) else shown


def next_checkpoint(cluster: Cluster, job_id: str, deadline: float) -> None:
    """What was said is committed with the next checkpoint but one."""
    done = int(cluster.checkpoints(job_id)["counts"]["completed"])
    while int(cluster.checkpoints(job_id)["counts"]["completed"]) < done + 2:
        assert time.monotonic() < deadline
        time.sleep(_LOOK_S)
