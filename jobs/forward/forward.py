"""The forwarder: reads a topic as a member of a group, hands records to the lanes, commits what has been delivered."""

import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from typing import Any, Literal

from confluent_kafka import Consumer, KafkaException, Message, TopicPartition

from jobs.forward.courier import Courier, Tally
from jobs.forward.dead_letters import DeadLetters
from jobs.forward.endpoint import Endpoint
from jobs.forward.errors import ForwardProblem
from jobs.forward.lanes import Lanes, Task
from jobs.forward.ledger import Ledger
from jobs.kafka_client import Errors, KafkaProblem, KafkaTarget, explain
from jobs.stopping import Stop
from jobs.topic_care import TopicCare
from jobs.topics import REJECTED_KEPT_MS, Topic, taken_for

COMMIT_EVERY_S = 1.0
MOST_PER_LANE = 50
_POLL_S = 0.1
_GRACE_S = 5.0
"""Beyond the timeout of a request: what is under way at the end may take so long."""
_ASK_S = 10.0

Starting = Literal["earliest", "latest"]


@dataclass(frozen=True, slots=True)
class ForwardPlan:
    """What to forward, and how."""

    topic: str
    group: str
    dead_letters: str
    workers: int
    retry_for_s: float
    timeout_s: float
    starting: Starting
    report_every_s: float

    def __post_init__(self) -> None:
        """Refuse a topic of dead letters that is read: what is put there would come again without end.

        Raises:
            ForwardProblem: it is the source, or one that jobs read or write.
        """
        if self.dead_letters == self.topic:
            raise ForwardProblem(f"dead letters cannot go to {self.topic}, where they come from: {self._remedy}")
        if role := taken_for(self.dead_letters):
            raise ForwardProblem(
                f"dead letters cannot go to {self.dead_letters}: topics whose names end in {role!r} are those of jobs; "
                f"{self._remedy}"
            )

    @property
    def _remedy(self) -> str:
        return f"give --dead-letters a topic of their own, or leave it out, for {self.topic}-dead"


@dataclass(frozen=True, slots=True)
class Report:
    """How it stands."""

    delivered: int
    dead: int
    failed_attempts: int
    """That were or will be made again."""
    under_way: int
    lag: int
    """Records in the topic that are not handed over yet."""
    delivered_per_s: float
    """Since the last report."""
    last_failure: str

    def as_dict(self) -> dict[str, Any]:
        """For machines."""
        return asdict(self)


def forward(
    plan: ForwardPlan, target: KafkaTarget, endpoint: Endpoint, stop: Stop, report: Callable[[Report], None]
) -> Report:
    """Forward until `stop` is asked; then what is under way is finished, committed and reported.

    Raises:
        KafkaProblem: no broker answers, or there is no such topic.
        ForwardProblem: the receiver wants no more, or dead letters cannot be written.
    """
    _make_ready(plan, target)
    return _Forwarder(plan, target, endpoint, stop, report).run()


def _make_ready(plan: ForwardPlan, target: KafkaTarget) -> None:
    care = TopicCare(target)
    if plan.topic not in care.names:
        raise KafkaProblem(
            f"no topic {plan.topic!r} at {target.bootstrap}; `segmill topics create` makes those of a live job"
        )
    if plan.dead_letters not in care.names:
        settings = {"cleanup.policy": "delete", "retention.ms": str(REJECTED_KEPT_MS)}
        care.create([Topic(plan.dead_letters, "as in the source", settings)], None, None, repair=False)


class _Forwarder:
    def __init__(
        self, plan: ForwardPlan, target: KafkaTarget, endpoint: Endpoint, stop: Stop, report: Callable[[Report], None]
    ) -> None:
        self._plan, self._target, self._stop, self._report = plan, target, stop, report
        self._errors, self._tally, self._ledger = Errors(), Tally(), Ledger()
        dead = DeadLetters(target, plan.dead_letters, plan.topic)
        courier = Courier(plan.topic, endpoint, dead, plan.retry_for_s, self._tally)
        self._consumer: Consumer = target.consumer(
            self._errors,
            {
                "group.id": plan.group,
                "enable.auto.commit": False,
                "isolation.level": "read_committed",
                "auto.offset.reset": plan.starting,
            },
        )
        self._lanes = Lanes(plan.workers, courier.carry)
        self._most = plan.workers * MOST_PER_LANE
        self._paused = False
        self._delivered = self._dead = self._told_delivered = 0
        self._told_at = time.monotonic()

    def run(self) -> Report:
        try:
            self._consumer.subscribe(
                [self._plan.topic], on_assign=self._assigned, on_revoke=self._revoked, on_lost=self._lost
            )
            self._loop()
            self._lanes.close(self._patience_s)  # what is not done by then is delivered by the next call
            self._settle(wait=True)
            self._raise_fault()
        finally:
            self._lanes.close(0)
            self._consumer.close()
        return self._reported()

    def _loop(self) -> None:
        committed = time.monotonic()
        while not self._stop.asked:
            message = self._consumer.poll(_POLL_S)
            if message is not None:
                self._take(message)
            self._raise_fault()
            now = time.monotonic()
            if now - committed >= COMMIT_EVERY_S:
                self._settle(wait=False)
                committed = now
            elif self._ledger.under_way >= self._most:
                self._count_finished()
            self._breathe()
            if now - self._told_at >= self._plan.report_every_s:
                self._report(self._reported())

    def _take(self, message: Message) -> None:
        error = message.error()
        if error is not None:
            if not error.retriable():
                raise self._target.problem(error)
            return
        partition, offset = message.partition(), message.offset()
        assert partition is not None  # noqa: S101  (a record has both)
        assert offset is not None  # noqa: S101
        self._ledger.begin(partition, offset)
        headers: Any = message.headers() or ()  # those that were read are always a list
        task = Task(partition, offset, message.key(), message.value(), tuple(headers), message.timestamp()[1])
        self._lanes.put(task)

    def _breathe(self) -> None:
        """Too much under way: read nothing more, but stay in the group."""
        full = self._ledger.under_way >= self._most
        if full and not self._paused:
            self._consumer.pause(self._consumer.assignment())
            self._paused = True
        elif self._paused and self._ledger.under_way <= self._most // 2:
            self._consumer.resume(self._consumer.assignment())
            self._paused = False

    def _raise_fault(self) -> None:
        if self._lanes.fault is not None:
            self._settle(wait=True)
            raise self._lanes.fault
        if self._errors.hopeless and self._errors.worst is not None:
            raise KafkaProblem(f"Kafka at {self._target.bootstrap}: {explain(self._errors.worst)}")

    # -- offsets -------------------------------------------------------------------------------------------------------

    def _count_finished(self) -> None:
        for task, outcome in self._lanes.finished():
            self._ledger.done(task.partition, task.offset)
            self._delivered += outcome == "delivered"
            self._dead += outcome == "dead"

    def _settle(self, *, wait: bool) -> None:
        """Commit all that was delivered. If that fails it is delivered again one day, which is allowed."""
        self._count_finished()
        offsets = self._ledger.committable(again=wait)  # what nobody waited for may have failed
        if not offsets:
            return
        positions = [TopicPartition(self._plan.topic, part, offset) for part, offset in offsets.items()]
        try:
            if wait:
                self._consumer.commit(offsets=positions, asynchronous=False)
            else:
                self._consumer.commit(offsets=positions, asynchronous=True)
        except KafkaException:
            return
        self._ledger.committed(offsets)

    # -- the group -----------------------------------------------------------------------------------------------------

    @property
    def _patience_s(self) -> float:
        return self._plan.timeout_s + _GRACE_S

    def _assigned(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        self._paused = False
        self._lanes.assign(_numbers(partitions))
        if self._plan.starting == "latest":
            self._pin(consumer, partitions)

    def _pin(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        """Write down where "latest" was: else a crash before the first delivery would leave a gap."""
        new = [place for place in consumer.committed(partitions, timeout=_ASK_S) if place.offset < 0]
        for place in new:
            place.offset = consumer.get_watermark_offsets(place, timeout=_ASK_S)[1]
        if new:
            consumer.commit(offsets=new, asynchronous=False)
            fixed = {place.partition: place.offset for place in new}
            for place in partitions:
                place.offset = fixed.get(place.partition, place.offset)
            consumer.assign(partitions)

    def _revoked(self, _: Consumer, partitions: list[TopicPartition]) -> None:
        numbers = _numbers(partitions)
        self._lanes.revoke(numbers, self._patience_s)
        self._settle(wait=True)
        for number in numbers:
            self._ledger.drop(number)

    def _lost(self, _: Consumer, partitions: list[TopicPartition]) -> None:
        self._lanes.revoke(_numbers(partitions), self._patience_s)
        self._count_finished()
        for number in _numbers(partitions):
            self._ledger.drop(number)

    # -- figures -------------------------------------------------------------------------------------------------------

    def _reported(self) -> Report:
        self._count_finished()
        now = time.monotonic()
        rate = (self._delivered - self._told_delivered) / max(now - self._told_at, 0.001)
        self._told_at, self._told_delivered = now, self._delivered
        return Report(
            delivered=self._delivered,
            dead=self._dead,
            failed_attempts=self._tally.failed,
            under_way=self._ledger.under_way,
            lag=self._lag(),
            delivered_per_s=round(rate, 1),
            last_failure=self._tally.last_failure,
        )

    def _lag(self) -> int:
        try:
            places = self._consumer.position(self._consumer.assignment())
            ends = [self._consumer.get_watermark_offsets(place, cached=True)[1] for place in places]
        except (KafkaException, RuntimeError):  # closed, or not yet in the group
            return 0
        return sum(max(0, end - place.offset) for place, end in zip(places, ends, strict=True) if place.offset >= 0)


def _numbers(partitions: Iterable[TopicPartition]) -> set[int]:
    return {place.partition for place in partitions}
