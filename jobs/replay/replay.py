"""From a log to a topic: reads as `run` does, produces with the event's own time, and always knows what has arrived."""

import time
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import msgspec
from confluent_kafka import KafkaError, KafkaException, Message, Producer

from jobs.kafka_client import Errors, KafkaProblem, KafkaTarget, explain
from jobs.merge import Merge, Timed
from jobs.replay.fitness import Fitness, fitness_of
from jobs.replay.pace import Pace
from jobs.replay.position import Position, ReplayProblem, check_same, load_position, marks, save_position
from jobs.stopping import Stop
from schemas.envelope import EnvelopeReader
from schemas.headers import SCHEMA_VERSION_HEADER
from schemas.lines import KEPT_BYTES
from schemas.logs import Log
from schemas.timestamps import EARLIEST_MS, format_ms

SAVE_EVERY_S = 2.0
"""A replay that is killed is repeated from at most so long ago."""
STOP_WITHIN_S = 30.0
_TELL_EVERY = 2_000
_SLICE_S = 0.2
_HEADERS: list[tuple[str, str | bytes | None]] = [SCHEMA_VERSION_HEADER]
_DEFAULTS = {
    "linger.ms": "20",
    "compression.type": "lz4",
    "queue.buffering.max.messages": "200000",
    "queue.buffering.max.kbytes": "65536",
    "partitioner": "murmur2_random",  # as Java clients do: a customer's events stay together, whoever writes them
}


@dataclass(frozen=True, slots=True)
class ReplayPlan:
    """What to replay."""

    log: Log
    topic: str
    pace: Pace
    resume: Path | None
    max_future_ms: int


@dataclass(slots=True)
class Replayed:
    """What has been done."""

    topic: str
    records: int = 0
    """From the start of the log, those of earlier calls included."""
    before: int = 0
    """Of these, delivered by earlier calls."""
    unreadable: int = 0
    """Of this call: those without a subject or a time; delivered as they are, for the job to reject."""
    cut: int = 0
    """Of this call: too large for the topic; cut, and so rejected by the job."""
    first_ms: int | None = None
    last_ms: int | None = None
    """Of the records of this call, the oldest and the newest time."""
    done: bool = False
    resume: str | None = None
    """The file that holds the position."""
    wall_s: float = 0.0
    records_per_s: float = 0.0

    def as_dict(self) -> dict[str, Any]:
        """For machines."""
        result: dict[str, Any] = msgspec.to_builtins(self)
        return result


class ReplayProgress:
    """What a replay tells while it goes on; this one keeps it to itself."""

    def say(self, text: str) -> None: ...

    def warn(self, text: str) -> None: ...

    def moved(self, records: int, position_bytes: int, total_bytes: int, records_per_s: float) -> None: ...


def replay(plan: ReplayPlan, target: KafkaTarget, stop: Stop, progress: ReplayProgress) -> Replayed:
    """Replay a log; when `stop` is asked, what is under way is delivered first.

    Raises:
        LogError: a file cannot be read.
        KafkaProblem: a broker refuses, or none answers.
        ReplayProblem: the topic would not keep the log, or the position does not fit.
    """
    now_ms = time.time_ns() // 1_000_000
    files = marks(plan.log)
    position = load_position(plan.resume) if plan.resume is not None else None
    known = position is not None
    position = position or Position(plan.topic, "", files, now_ms + plan.max_future_ms)
    merge = Merge(plan.log, EnvelopeReader(position.latest_ms).read)
    first_ms = merge.first_ms()
    if first_ms is None:
        raise ReplayProblem("no event with a subject and a time in this log; is --format right?")
    fit = fitness_of(target, plan.topic, first_ms, now_ms)
    if known and plan.resume is not None:
        check_same(position, plan.resume, plan.topic, fit.topic_id, files)
    position.topic_id = fit.topic_id
    for warning in fit.warnings:
        progress.warn(warning)
    return _Replay(plan, target, position, merge, fit, stop, progress, first_ms).run()


@dataclass
class _Failures:
    """Deliveries that failed; librdkafka reports no others here."""

    first: KafkaError | None = None

    def __call__(self, error: KafkaError | None, _: Message) -> None:
        if error is not None and self.first is None:
            self.first = error


@dataclass
class _Replay:
    plan: ReplayPlan
    target: KafkaTarget
    position: Position
    merge: Merge
    fit: Fitness
    stop: Stop
    progress: ReplayProgress
    newest_ms: int
    """Newest time so far, which records without one of their own get; before the first, that of the first."""
    errors: Errors = field(default_factory=Errors)
    failures: _Failures = field(default_factory=_Failures)

    def run(self) -> Replayed:
        replayed = Replayed(self.plan.topic, self.position.records, self.position.records)
        if self.position.done:
            self.progress.say(f"all {self.position.records:,} records were delivered before: nothing to do")
            replayed.done = True
            return replayed
        if replayed.before:
            self.progress.say(f"going on after record {replayed.before:,}")
        began = time.monotonic()
        producer = self._producer()
        try:
            ended = self._produce_all(producer, replayed, began)
            self._settle(producer)
        except BaseException:
            producer.purge()  # or its end would wait for what can no longer be delivered
            raise
        replayed.done = self.position.done = ended
        path = self.plan.resume or (None if ended else _unused(f"{self.plan.topic}.position"))
        self.position.records = replayed.records
        if path is not None:
            save_position(path, self.position)
            replayed.resume = str(path)
        replayed.wall_s = round(time.monotonic() - began, 3)
        replayed.records_per_s = round((replayed.records - replayed.before) / max(replayed.wall_s, 0.001), 1)
        return replayed

    def _producer(self) -> Producer:
        return self.target.producer(
            self.errors,
            {
                "enable.idempotence": True,
                "delivery.report.only.error": True,
                "message.max.bytes": max(self.fit.max_message_bytes, 1_000),
                "on_delivery": self.failures,
            },
            _DEFAULTS,
        )

    def _produce_all(self, producer: Producer, replayed: Replayed, began: float) -> bool:
        """Whether the log came to its end."""
        saved = told = began
        base_ms: int | None = None
        for number, timed in enumerate(self.merge):
            if timed.time_ms is not None and timed.time_ms > self.newest_ms:
                self.newest_ms = timed.time_ms
            if number < replayed.before:
                if number % _TELL_EVERY == 0 and self.stop.asked:
                    return False
                continue
            if base_ms is None:
                base_ms = self.newest_ms
            if self.plan.pace.limited:
                due_s = self.plan.pace.due_s(number - replayed.before, self.newest_ms - base_ms)
                self._wait(producer, began + due_s)
            if not self._produce(producer, timed, replayed):
                return False
            replayed.records = number + 1
            now = time.monotonic()
            if self.plan.resume is not None and now - saved >= SAVE_EVERY_S:
                self._settle(producer)
                self.position.records = replayed.records
                save_position(self.plan.resume, self.position)
                saved = time.monotonic()
            if number % _TELL_EVERY == 0 or (now - told > _SLICE_S and self.plan.pace.limited):
                told = now
                producer.poll(0)
                self._raise_failure()
                self._tell(replayed, now - began)
        return True

    def _produce(self, producer: Producer, timed: Timed, replayed: Replayed) -> bool:
        """Hand over one record; False if it was not, as the replay is to stop."""
        key = timed.subject.encode() or None
        value = timed.record.raw if timed.rejected is None else timed.record.original
        self._check_time(timed, replayed)
        while not self.stop.asked:
            try:
                producer.produce(
                    self.plan.topic, value, key, timestamp=timed.time_ms or self.newest_ms, headers=_HEADERS
                )
            except BufferError:  # the queue is full: the brokers set the pace
                producer.poll(_SLICE_S)
                self._raise_failure()
            except KafkaException as error:
                if error.args[0].code() != KafkaError.MSG_SIZE_TOO_LARGE or len(value) <= KEPT_BYTES:
                    raise self.target.problem(error.args[0]) from None
                value = value[:KEPT_BYTES]
                replayed.cut += 1
            else:
                replayed.unreadable += timed.rejected is not None
                return True
        return False

    def _check_time(self, timed: Timed, replayed: Replayed) -> None:
        time_ms = timed.time_ms
        if time_ms is None:
            return
        if replayed.first_ms is None or time_ms < replayed.first_ms:
            replayed.first_ms = time_ms
            if time_ms < self.fit.oldest_ms:
                raise self._refusal(timed, replayed, "is older than what the topic takes or keeps")
        if replayed.last_ms is None or time_ms > replayed.last_ms:
            replayed.last_ms = time_ms
            if time_ms > time.time_ns() // 1_000_000 + self.fit.ahead_ms:
                raise self._refusal(timed, replayed, "is further in the future than the topic takes")

    def _refusal(self, timed: Timed, replayed: Replayed, why: str) -> ReplayProblem:
        return ReplayProblem(
            f"{timed.record.place}: {format_ms(timed.time_ms or EARLIEST_MS)} {why} (docs/kafka.md: settings of "
            f"{self.plan.topic}); {replayed.records:,} records before it were handed over"
        )

    def _wait(self, producer: Producer, until: float) -> None:
        while (left_s := until - time.monotonic()) > 0 and not self.stop.asked:
            producer.poll(min(left_s, _SLICE_S))
            self._raise_failure()

    def _settle(self, producer: Producer) -> None:
        """Everything handed over is confirmed by the brokers."""
        asked = time.monotonic()
        while producer.flush(_SLICE_S):
            self._raise_failure()
            if self.stop.asked and time.monotonic() - asked > STOP_WITHIN_S:
                raise self._undelivered(f"{len(producer):,} records were not confirmed within {STOP_WITHIN_S:.0f} s")
        self._raise_failure()

    def _raise_failure(self) -> None:
        if self.failures.first is not None:
            raise self._undelivered(explain(self.failures.first))
        if self.errors.hopeless and self.errors.worst is not None:
            raise self._undelivered(explain(self.errors.worst))

    def _undelivered(self, why: str) -> KafkaProblem:
        known = f"{self.position.records:,} records are known to be there"
        return KafkaProblem(
            f"Kafka at {self.target.bootstrap}: {why}; {known}"
            + (f", a call with --resume {self.plan.resume} goes on from them" if self.plan.resume else "")
        )

    def _tell(self, replayed: Replayed, passed_s: float) -> None:
        rate = (replayed.records - replayed.before) / max(passed_s, 0.001)
        self.progress.moved(replayed.records, self.merge.position_bytes, self.plan.log.total_bytes, rate)


def _unused(name: str) -> Path:
    """A file of that name, or of that name with a number, that does not exist."""
    return next(path for number in count(1) if not (path := Path(f"{name}-{number}" if number > 1 else name)).exists())
