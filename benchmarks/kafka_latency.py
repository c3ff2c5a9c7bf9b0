"""How long after an event its segment change can be read: in Redis, and as a committed record of the topic.

    python -m benchmarks.kafka_latency [--rates 1000 5000 10000] [--seconds 30] [--parallelism 1]

The live job, on a cluster of this machine, gets the default mix as events of now at a steady rate. Among them are
probes, forty a second: the first order of a customer whom nobody has seen, which takes them into a segment. Redis is
asked every two milliseconds for those that are not there yet; the topic is read by a consumer of committed records.
Times are from the moment before the producer gets the event.
"""

import argparse
import json
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from statistics import quantiles
from tempfile import TemporaryDirectory
from typing import Any

from confluent_kafka import Consumer

from benchmarks.alone import alone
from benchmarks.kafka_peers import PARTITIONS, PLAN
from benchmarks.kafka_segmill import live_spec, make_topics, submitted
from benchmarks.pace import PROBE_SEGMENT, Paced, send
from benchmarks.results import Results
from jobs.live.rest import Cluster
from jobs.live.settings import LiveSpec
from jobs.stack.stack import Stack
from schemas.keys import Keys

WARM_S = 15.0
PROBES_PER_S = 40
LOOK_S = 0.002
GRACE_S = 20.0
"""So long after the last event the last change may be."""


def main() -> None:
    """Measure, print, keep."""
    parser = argparse.ArgumentParser(description="From an event to its segment change in Redis and in the topic.")
    parser.add_argument("--rates", type=int, nargs="+", default=[1_000, 5_000, 10_000])
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--parallelism", type=int, default=1)
    options = parser.parse_args()
    results = Results("kafka_latency", "From an event to its segment change, live job", vars(options))
    with TemporaryDirectory(prefix="segmill-bench-") as name:
        stack = Stack(Path(name) / "stack", owned=True)
        try:
            stack.up(PLAN)
            for rate in options.rates:
                _measure(results, stack, Path(name), rate, options.seconds, options.parallelism)
        finally:
            stack.down(wipe=True)
    results.finish()


def _measure(results: Results, stack: Stack, folder: Path, rate: int, seconds: float, parallelism: int) -> None:
    spec = live_spec(stack, f"rate{rate}.", parallelism)
    make_topics(spec, PARTITIONS)
    job_id = alone(_started, spec, stack, folder)
    plan = stack.plan
    ended = folder / f"ended-{rate}"
    with ProcessPoolExecutor(3, mp_context=get_context("spawn")) as pool:
        sending = pool.submit(send, plan.bootstrap, spec.topics.events.name, rate, WARM_S, seconds, PROBES_PER_S)
        in_redis = pool.submit(_seen_in_redis, spec, ended)
        in_topic = pool.submit(_seen_in_topic, plan.bootstrap, spec.topics.segment_changes.name, ended)
        try:
            sent = sending.result()
            time.sleep(GRACE_S)
        finally:
            ended.touch()
        redis, topic = in_redis.result(), in_topic.result()
    Cluster(plan.rest).cancel(job_id)
    results.notes.append(
        f"{rate:,}/s: {len(sent.probes):,} probes, {len(redis):,} seen in Redis, {len(topic):,} in the topic; "
        f"the producer was at most {sent.behind_s:.2f} s behind its plan"
    )
    for name, seen in (("Redis", redis), ("the topic, committed", topic)):
        _add(results, f"{rate:,} events/s, parallelism {parallelism}: {name}", sent, seen)


def _add(results: Results, name: str, sent: Paced, seen: dict[str, int]) -> None:
    took = [seen[probe] - at_ms for probe, at_ms in sent.probes.items() if probe in seen]
    if len(took) > 1:
        cuts = quantiles(took, n=100, method="inclusive")
        results.add(f"{name}, p50", "ms", cuts[49])
        results.add(f"{name}, p99", "ms", cuts[98])


def _started(spec: LiveSpec, stack: Stack, folder: Path) -> str:
    """Submit, and wait until the job runs."""
    cluster, job_id = submitted(spec, stack, folder)
    while int(cluster.checkpoints(job_id)["counts"]["completed"]) < 1:
        time.sleep(0.1)
    return job_id


def _seen_in_redis(spec: LiveSpec, ended: Path) -> dict[str, int]:
    """When each probe was first a member, epoch milliseconds."""
    client: Any = spec.redis.reached()
    key = Keys(spec.redis.prefix).segment(PROBE_SEGMENT)
    seen: dict[str, int] = {}
    first = 0  # all before it have been seen
    while not ended.exists():
        waiting = [name for name in (f"probe-{n}" for n in range(first, first + 400)) if name not in seen]
        scores = client.zmscore(key, waiting)
        now_ms = time.time_ns() // 1_000_000
        seen.update({name: now_ms for name, score in zip(waiting, scores, strict=True) if score is not None})
        while f"probe-{first}" in seen:
            first += 1
        time.sleep(LOOK_S)
    return seen


def _seen_in_topic(bootstrap: str, topic: str, ended: Path) -> dict[str, int]:
    """When each probe's change was read by a consumer of committed records, epoch milliseconds."""
    consumer = Consumer({
        "bootstrap.servers": bootstrap, "group.id": "latency", "isolation.level": "read_committed",
        "enable.auto.commit": False, "auto.offset.reset": "earliest",
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


if __name__ == "__main__":
    main()
