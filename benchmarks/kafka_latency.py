"""How long after an event its segment change can be read: in Redis, and as a committed record of the topic.

    python -m benchmarks.kafka_latency [--rates 1000 5000 10000] [--seconds 30] [--repeat 1] [--parallelism 1]
        [--profiles-every 1] [--refreshed-every 60] [--items-apart]

The live job, on a cluster of this machine, gets the simulated shop in time-lapse (`benchmarks/lapse.py`): first a
history, through which it is before anything is timed; then so many events of now a second, paced, half a minute of them
to become steady. After that there are probes among them, forty a second: the first order of a customer whom nobody has
seen, which takes them into a segment. Redis is asked every five milliseconds for those that have been sent and are not
there yet, so its times are too long by up to as much. The topic is read by a consumer of committed records. Times are
from the moment before the producer gets the event. Half a minute holds one hourly refresh of profiles. The CPU time of
all servers is counted while there are probes; that of this process (sender and readers) is not in it. After `make
compiled` the job brings the compiled core along.
"""

import argparse
import json
import sys
import time
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path
from statistics import quantiles
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from confluent_kafka import Consumer

from benchmarks.alone import alone
from benchmarks.kafka_peers import PARTITIONS, PLAN
from benchmarks.kafka_segmill import live_spec, make_topics, next_checkpoint, shown, shown_in, submitted
from benchmarks.lapse import STEADY_S, Sent, lapse, lapse_settings
from benchmarks.pace import PROBE_SEGMENT, Paced, Probes, send, stamped
from benchmarks.results import Results
from benchmarks.servers_cpu import Spent, add_spent, servers_cpu_s
from benchmarks.topic import fill
from jobs.live.package import compiled_core
from jobs.live.rest import Cluster
from jobs.live.settings import LiveSpec
from jobs.stack.stack import Stack
from schemas.keys import Keys
from schemas.settings import MINUTE_MS

PROBES_PER_S = 40
LOOK_S = 0.005
LOOKED_FOR = 100
"""At most so many probes are asked for at once, those that were sent first: a job far behind is not slowed by it."""
GRACE_S = 20.0
"""So long after the last event the last change may be."""
JOB_STARTS_S, CATCH_UP_PER_S = 60.0, 3_000
"""What is allowed for, from before the history is sent until the start."""
READERS_START_S = 3.0
PATIENCE_S = 1_200.0


class Run(NamedTuple):
    """One of a rate: what was sent, when each probe was seen, and a line about it."""

    sent: Paced
    redis: dict[str, int]
    topic: dict[str, int]
    cpu: tuple[Spent, Spent]
    """Of all servers, as the first and the last probe was sent."""
    note: str


def main() -> None:
    """Measure, print, keep."""
    parser = argparse.ArgumentParser(description="From an event to its segment change in Redis and in the topic.")
    parser.add_argument("--rates", type=int, nargs="+", default=[1_000, 5_000, 10_000])
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--repeat", type=int, default=1)
    parser.add_argument("--parallelism", type=int, default=1)
    parser.add_argument("--profiles-every", type=int, default=1, help="profile_interval_ms, in minutes of the shop")
    parser.add_argument(
        "--refreshed-every", type=int, default=60, help="profile_refresh_ms, in minutes of the shop; 0: never"
    )
    parser.add_argument("--items-apart", action="store_true", help="the item side has slots of its own")
    options = parser.parse_args()
    settings = lapse_settings(
        profile_interval_ms=options.profiles_every * MINUTE_MS, profile_refresh_ms=options.refreshed_every * MINUTE_MS
    )
    results = Results("kafka_latency", "From an event to its segment change, live job", vars(options))
    results.notes.append("With the compiled core." if compiled_core(_say) else "Without the compiled core.")
    with TemporaryDirectory(prefix="segmill-bench-") as name:
        stack = Stack(Path(name) / "stack", owned=True)
        try:
            stack.up(PLAN)
            for rate in options.rates:
                runs: list[Run] = []
                for number in range(options.repeat):
                    spec = live_spec(stack, f"rate{rate}-{number}.", options.parallelism, settings)
                    spec = replace(spec, items_apart=options.items_apart)
                    _say(f"{rate:,}/s, run {number + 1} of {options.repeat}")
                    runs.append(_measured(spec, stack, Path(name), rate, options.seconds))
                what = f"{rate:,} events/s, parallelism {options.parallelism}"
                _add(results, what, runs)
                add_spent(results, *runs[-1].cpu, round(rate * options.seconds), f"{what}: ")
        finally:
            stack.down(wipe=True)
    results.finish()


def _say(text: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)


def _measured(spec: LiveSpec, stack: Stack, folder: Path, rate: int, seconds: float) -> Run:
    _say("  making the load")
    load = lapse(rate, STEADY_S + seconds)
    count = len(load.history)
    planned_s = time.time() + JOB_STARTS_S + count / CATCH_UP_PER_S
    _say(f"  sending the history: {count:,} events")
    make_topics(spec, PARTITIONS)
    fill_history(spec, int(planned_s * 1_000), load.history)
    load.history.clear()
    _say("  the job starts, and reads it")
    job_id, progress = alone(started, spec, stack, folder)
    cluster = Cluster(stack.plan.rest)
    caught_up(cluster, job_id, progress, count)
    start_s = max(planned_s, time.time() + READERS_START_S)
    run = _paced(spec, stack, folder, load.paced, rate, start_s, seconds)
    cluster.cancel(job_id)
    _wipe(spec)
    if start_s > planned_s:
        late = f"; the history was read {start_s - planned_s:.0f} s too late, so windows ran out before the start"
        return run._replace(note=run.note + late)
    return run


def _paced(
    spec: LiveSpec, stack: Stack, folder: Path, paced: list[Sent], rate: int, start_s: float, seconds: float
) -> Run:
    start_ms = int(start_s * 1_000)
    probes = Probes(int(start_ms + STEADY_S * 1_000), 1_000 // PROBES_PER_S, int(PROBES_PER_S * seconds))
    bootstrap = spec.kafka.bootstrap
    ended = folder / f"ended-{spec.name}"
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool, ThreadPoolExecutor(1) as beside:
        in_redis = pool.submit(_seen_in_redis, spec, probes, ended)
        in_topic = pool.submit(_seen_in_topic, bootstrap, spec.topics.segment_changes.name, ended)
        try:
            time.sleep(max(0.0, start_s - time.time()))
            _say(f"  pacing: {len(paced):,} events, and {probes.count:,} probes in the last {seconds:g} s")
            cpu = beside.submit(_cpu_while, stack, start_s + STEADY_S, seconds)
            sent = send(bootstrap, spec.topics.events.name, start_ms, paced, probes)
            time.sleep(GRACE_S)
        finally:
            ended.touch()
        redis, topic = in_redis.result(), in_topic.result()
    note = (
        f"{rate:,}/s: {len(sent.probes):,} probes, {len(redis):,} seen in Redis, {len(topic):,} in the topic; "
        f"the producer was at most {sent.behind_s:.2f} s behind its plan"
    )
    _say(f"  {note}")
    return Run(sent, redis, topic, cpu.result(), note)


def _cpu_while(stack: Stack, from_s: float, seconds: float) -> tuple[Spent, Spent]:
    """What all servers have spent at a time, and so long after it."""
    time.sleep(max(0.0, from_s - time.time()))
    before = servers_cpu_s(stack)
    time.sleep(max(0.0, from_s + seconds - time.time()))
    return before, servers_cpu_s(stack)


def _add(results: Results, name: str, runs: list[Run]) -> None:
    results.notes.extend(run.note for run in runs)
    for place, seen in (("Redis", [run.redis for run in runs]), ("the topic, committed", [run.topic for run in runs])):
        cuts = [_percentiles(run.sent, found) for run, found in zip(runs, seen, strict=True)]
        for percent in (50, 90, 99):
            results.add(f"{name}: {place}, p{percent}", "ms", *(found[percent - 1] for found in cuts if found))


def _percentiles(sent: Paced, seen: dict[str, int]) -> list[float]:
    """Of the times that those who were seen took, in milliseconds; empty if they are too few."""
    took = [seen[probe] - at_ms for probe, at_ms in sent.probes.items() if probe in seen]
    return quantiles(took, n=100, method="inclusive") if len(took) > 1 else []


def fill_history(spec: LiveSpec, start_ms: int, history: list[Sent]) -> None:
    """Send the history to the job's topic, so that the load can begin at `start_ms`."""
    made = ((key.decode(), start_ms + at_ms, b"\x1f" + stamped(start_ms + at_ms, body)) for at_ms, key, body in history)
    fill(spec.kafka.bootstrap, spec.topics.events.name, made)


def started(spec: LiveSpec, stack: Stack, folder: Path) -> tuple[str, Path]:
    """Submit, once there is room: the job's id, and the folder in which it shows how far it is."""
    while Cluster(stack.plan.rest).free_slots() < spec.slots:
        time.sleep(0.1)
    progress = shown_in(spec, folder)
    return submitted(spec, stack, folder)[1], progress


def caught_up(cluster: Cluster, job_id: str, progress: Path, events: int) -> None:
    """Wait until the customers have taken in so many events, and all that came of them is through."""
    deadline = time.monotonic() + PATIENCE_S
    while (seen := shown(progress, events)) < events:
        assert time.monotonic() < deadline, f"{seen} of {events} events"
        time.sleep(0.1)
    next_checkpoint(cluster, job_id, deadline)


def _seen_in_redis(spec: LiveSpec, probes: Probes, ended: Path) -> dict[str, int]:
    """When each probe was first a member, epoch milliseconds."""
    client: Any = spec.redis.reached()
    key = Keys(spec.redis.prefix).segment(PROBE_SEGMENT)
    seen: dict[str, int] = {}
    waiting: list[str] = []
    asked = 0
    while not ended.exists():
        due = probes.due(time.time_ns() // 1_000_000)
        waiting += map(probes.name, due[asked:])
        asked = len(due)
        if waiting:
            wanted = waiting[:LOOKED_FOR]
            scores = client.zmscore(key, wanted)
            now_ms = time.time_ns() // 1_000_000
            found = {name: now_ms for name, score in zip(wanted, scores, strict=True) if score is not None}
            seen |= found
            waiting = [name for name in waiting if name not in found]
        time.sleep(LOOK_S)
    return seen


def _seen_in_topic(bootstrap: str, topic: str, ended: Path) -> dict[str, int]:
    """When each probe's change was read by a consumer of committed records, epoch milliseconds."""
    consumer = Consumer({
        "bootstrap.servers": bootstrap, "group.id": "latency", "isolation.level": "read_committed",
        "enable.auto.commit": False, "auto.offset.reset": "latest",
    })  # fmt: skip
    consumer.subscribe([topic])
    seen: dict[str, int] = {}
    while not ended.exists():
        for message in consumer.consume(1_000, 0.05):
            if message.error() is None and (message.key() or b"").startswith(b"probe-"):
                change = json.loads(message.value())
                if change["segment"] == PROBE_SEGMENT:
                    seen.setdefault(change["customer_id"], time.time_ns() // 1_000_000)
    consumer.close()
    return seen


def _wipe(spec: LiveSpec) -> None:
    """Make room for the next job."""
    client: Any = spec.redis.reached()
    client.flushall()


if __name__ == "__main__":
    main()
