"""Topics as sinks of the graph: exactly once, by transactions of Kafka that end with Flink's checkpoints."""

from typing import Any, Final

from pyflink.datastream import DataStream
from pyflink.java_gateway import get_gateway
from pyflink.table import StreamTableEnvironment

from jobs.graph import Sink
from jobs.live.configuration import BROKER_AWAY_MS
from jobs.live.java_client import java_properties, properties
from jobs.live.settings import LiveSpec
from jobs.live.sql import name, options, text
from jobs.live.uids import name_upwards
from jobs.topics import MAX_REJECTED_BYTES, Topic
from schemas.headers import SCHEMA_VERSION_HEADER

TRANSACTION_TIMEOUT_MS: Final = 600_000
"""Longer than any checkpoint and restart may take, and less than the 15 min that brokers allow."""


class TopicSinks:
    """Makes sinks; `attach` adds them to the graph."""

    def __init__(self, tables: StreamTableEnvironment, spec: LiveSpec) -> None:
        """Nothing is added yet."""
        self._tables, self._spec = tables, spec

    def keyed(self, topic: Topic) -> Sink:
        """(key, JSON) records; an empty payload becomes a record without a value."""
        return self._sink(topic, {"key.format": "raw", "key.fields": "k", "value.fields-include": "EXCEPT_KEY"})

    def unkeyed(self, topic: Topic) -> Sink:
        """The same without their keys."""
        return self._sink(topic, None)

    def _sink(self, topic: Topic, keys: dict[str, str] | None) -> Sink:
        def add(stream: DataStream, uid: str) -> None:
            tables = self._tables
            header, version = SCHEMA_VERSION_HEADER
            tables.execute_sql(
                f"CREATE TEMPORARY TABLE {name(uid)} ({'k STRING, ' if keys else ''}v BYTES, "
                f"h MAP<STRING, BYTES> METADATA FROM 'headers') WITH {options(self._options(topic, keys))}"
            )
            view = f"{uid}-records"
            tables.create_temporary_view(name(view), stream)
            statements = tables.create_statement_set()
            statements.add_insert_sql(
                f"INSERT INTO {name(uid)} SELECT {'f0, ' if keys else ''}NULLIF(f1, X''), "  # noqa: S608  (all quoted)
                f"MAP[{text(header)}, X'{version.hex()}'] FROM {name(view)}"
            )
            before = _sinks_of(tables)
            statements.attach_as_datastream()
            for j_sink in _sinks_of(tables)[len(before) :]:
                _in_a_thread_of_its_own(j_sink)
                name_upwards(j_sink, uid)

        return add

    def _options(self, topic: Topic, keys: dict[str, str] | None) -> dict[str, str]:
        client = {
            **java_properties(self._spec.kafka),
            "transaction.timeout.ms": str(TRANSACTION_TIMEOUT_MS),
            "max.block.ms": str(BROKER_AWAY_MS),
            "delivery.timeout.ms": str(BROKER_AWAY_MS),
            "max.request.size": str(MAX_REJECTED_BYTES),
            "compression.type": "lz4",
            "linger.ms": "100",  # nobody reads a record before its checkpoint, which does not wait for that
        }
        return {
            "connector": "kafka",
            "topic": topic.name,
            **({"format": "raw"} if keys is None else {"value.format": "raw", **keys}),
            "sink.delivery-guarantee": "exactly-once",
            "sink.transactional-id-prefix": f"{self._spec.name}-{topic.name}",
            **properties(client),
        }


def _in_a_thread_of_its_own(j_sink: Any) -> None:
    """Let the steps before a sink begin a chain.

    Chained to an operator, they would run below its Python code, which holds Python's lock meanwhile: to serialize,
    compress and send a record takes as long as all that Python does for an event, and a checkpoint's flush longer yet.
    """
    head: Any = None
    step = j_sink
    while len(step.getInputs()) == 1:
        step = step.getInputs()[0]
        if step.getClass().getSimpleName() != "OneInputTransformation" or step.getUid() is not None:
            break
        head = step
    if head is None:
        raise RuntimeError("Flink has put no step between the records and their sink")
    head.setChainingStrategy(get_gateway().jvm.org.apache.flink.streaming.api.operators.ChainingStrategy.HEAD)


def _sinks_of(tables: StreamTableEnvironment) -> list[Any]:
    return list(tables._j_tenv.execEnv().getTransformations())
