"""Kafka as the server uses it: settings that make clients, and what each client relies on."""

from collections.abc import Callable, Mapping
from typing import Any

import msgspec
from confluent_kafka import Consumer, KafkaError, Producer
from confluent_kafka.admin import AdminClient

_BESIDE_BYTES = 65_536
"""Key, headers and the frame of a record."""
_CRITICAL = "2"
"""librdkafka's own lines on standard error stop here: what matters comes by callback."""


class KafkaSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Where Kafka is. Holds secrets: it is in no message."""

    bootstrap: str
    client: dict[str, str] = {}
    """librdkafka's settings: TLS, SASL, …"""
    events: str = "events"
    segment_changes: str = "segment-changes"
    """Names of the topics."""


def made_producer(
    kafka: KafkaSettings, timeout_ms: int, most_bytes: int, on_error: Callable[[KafkaError], None]
) -> Producer:
    """A producer that writes each event once and in order, acknowledged by all replicas; `most_bytes`: of an event."""
    defaults: Mapping[str, Any] = {"linger.ms": 2, "compression.type": "lz4", "queue.buffering.max.kbytes": 65_536}
    fixed = {
        "enable.idempotence": True,
        "message.timeout.ms": timeout_ms,
        "message.max.bytes": most_bytes + _BESIDE_BYTES,
        "partitioner": "murmur2_random",  # as Java clients do: a customer's events stay together, whoever writes them
    }
    return Producer(_settings(kafka, defaults, fixed, on_error))


def made_consumer(kafka: KafkaSettings, on_error: Callable[[KafkaError], None]) -> Consumer:
    """A consumer of committed records, outside of any group."""
    fixed = {
        "group.id": "segmill-serve",  # never joined: partitions are assigned by hand, and nothing is committed
        "enable.auto.commit": False,
        "isolation.level": "read_committed",
        "auto.offset.reset": "error",  # a place that is not there any more is told, not silently put elsewhere
        "queued.max.messages.kbytes": 4_096,
    }
    return Consumer(_settings(kafka, {}, fixed, on_error))


def made_admin(kafka: KafkaSettings, on_error: Callable[[KafkaError], None]) -> AdminClient:
    """A client that asks about topics."""
    return AdminClient(_settings(kafka, {}, {}, on_error))


def _settings(
    kafka: KafkaSettings, defaults: Mapping[str, Any], fixed: Mapping[str, Any], on_error: Callable[[KafkaError], None]
) -> dict[str, Any]:
    ours = {"bootstrap.servers": kafka.bootstrap, "error_cb": on_error}
    return {"log_level": _CRITICAL, **defaults, **kafka.client, **fixed, **ours}
