"""The topic of records that could not be delivered, each with the reason."""

import threading
import time

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from jobs.forward.errors import ForwardProblem
from jobs.forward.lanes import Task
from jobs.kafka_client import Errors, KafkaTarget, explain
from schemas.headers import SCHEMA_VERSION_HEADER

_CONFIRMED_WITHIN_S = 60.0
_PREFIX = "dead-letter-"


class DeadLetters:
    """Writes to the topic, and returns only when the brokers have it; for use by several threads."""

    def __init__(self, target: KafkaTarget, topic: str, source: str) -> None:
        """Nothing is written yet. `source`: the topic that the records come from.

        Raises:
            KafkaProblem: a setting is wrong.
        """
        self._topic, self._source = topic, source
        self._lock = threading.Lock()
        self._failures: list[KafkaError] = []
        self._producer: Producer = target.producer(
            Errors(),
            {"enable.idempotence": True},
            {"partitioner": "murmur2_random", "message.max.bytes": str(12 << 20)},
        )

    def put(self, task: Task, reason: str, status: int | None, attempts: int) -> None:
        """Write a record as it was, with headers that say why it is here.

        Raises:
            ForwardProblem: the brokers do not take it.
        """
        why: dict[str, str] = {
            "reason": reason,
            "status": "" if status is None else str(status),
            "attempts": str(attempts),
            "source": f"{self._source}:{task.partition}:{task.offset}",
            "at-ms": str(time.time_ns() // 1_000_000),
        }
        headers: list[tuple[str, str | bytes | None]] = [*(task.headers or (SCHEMA_VERSION_HEADER,))]
        headers += [(_PREFIX + name, text.encode()) for name, text in why.items()]
        with self._lock:  # seldom, and one after the other: so a failure is that of this record
            self._failures.clear()
            try:
                self._producer.produce(
                    self._topic,
                    task.value,
                    task.key,
                    timestamp=task.timestamp_ms,
                    headers=headers,
                    on_delivery=self._told,
                )
            except (KafkaException, BufferError) as error:
                raise self._problem(str(error)) from None
            left = self._producer.flush(_CONFIRMED_WITHIN_S)
            if self._failures or left:
                self._producer.purge()
                why_not = explain(self._failures[0]) if self._failures else "not confirmed in time"
                raise self._problem(why_not)

    def _told(self, error: KafkaError | None, _: Message) -> None:
        if error is not None:
            self._failures.append(error)

    def _problem(self, why: str) -> ForwardProblem:
        return ForwardProblem(f"dead letters cannot be written to {self._topic}: {why}")
