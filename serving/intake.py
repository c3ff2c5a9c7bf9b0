"""Events on their way into Kafka: checked as the job checks them, keyed as `segmill replay` keys them, acknowledged."""

import asyncio
import threading
from collections.abc import Sequence
from contextlib import suppress

import msgspec
from confluent_kafka import KafkaError, KafkaException, Message, Producer

from schemas.decode import Decoder
from schemas.headers import SCHEMA_VERSION_HEADER
from schemas.rejects import Rejected
from schemas.settings import Settings
from serving.kafka import KafkaSettings, made_producer
from serving.replies import Intake, Taken

_HEADERS: list[tuple[str, str | bytes | None]] = [SCHEMA_VERSION_HEADER]
_POLL_S = 0.1
_LEAVE_S = 5.0


class NotDelivered(ConnectionError):  # noqa: N818  (what has become of a batch)
    """Kafka has not acknowledged all of a batch; what it has is known by `event_id`, so all of it may be sent again."""


class Events:
    """Takes batches of events."""

    def __init__(self, kafka: KafkaSettings, settings: Settings, timeout_ms: int) -> None:
        """Nothing is connected before the first batch.

        Args:
            kafka: where to.
            settings: of the job, by which events are checked.
            timeout_ms: how long an acknowledgement is waited for.
        """
        self._kafka, self._timeout_ms = kafka, timeout_ms
        self._decoder, self._most_bytes = Decoder(settings), settings.max_record_bytes
        self._producer: Producer | None = None
        self._thread: threading.Thread | None = None
        self._closing = threading.Event()
        self._fatal = False

    async def take(self, events: Sequence[msgspec.Raw]) -> Intake:
        """Check all, and write those that are good.

        Raises:
            NotDelivered: Kafka did not take them in time.
        """
        taken: list[Taken] = []
        good: list[tuple[str, int, bytes]] = []
        for index, raw in enumerate(events):
            payload = bytes(raw)
            try:
                subject, fact = self._decoder.decode(payload)
            except Rejected as rejected:
                taken.append(Taken(index, "rejected", rejected.reason.value, rejected.detail))
            else:
                taken.append(Taken(index, "accepted"))
                good.append((subject, fact.time_ms, payload))
        if good:
            await self._deliver(good)
        return Intake(len(good), len(taken) - len(good), tuple(taken))

    def close(self) -> None:
        """Let what is under way arrive, for some seconds."""
        self._closing.set()
        if self._thread is not None:
            self._thread.join(_LEAVE_S)
        if self._producer is not None:
            self._producer.flush(_LEAVE_S)

    async def _deliver(self, events: Sequence[tuple[str, int, bytes]]) -> None:
        loop = asyncio.get_running_loop()
        done: asyncio.Future[None] = loop.create_future()
        missing, failures = len(events), 0

        def told(failed: bool, count: int = 1) -> None:
            nonlocal missing, failures
            missing -= count
            failures += failed
            if not missing and not done.done():
                done.set_result(None)

        def delivered(error: KafkaError | None, _: Message) -> None:  # in the thread that polls
            with suppress(RuntimeError):  # the loop is gone
                loop.call_soon_threadsafe(told, error is not None)

        producer = self._running()
        for index, (subject, time_ms, payload) in enumerate(events):
            try:
                producer.produce(self._kafka.events, payload, subject.encode(), timestamp=time_ms, headers=_HEADERS,
                                 on_delivery=delivered)  # fmt: skip
            except (BufferError, KafkaException):  # full, or fatal: those after it would overtake it
                told(True, len(events) - index)
                break
        try:
            async with asyncio.timeout(self._timeout_ms / 1000 + 1):
                await done
        except TimeoutError:
            raise NotDelivered("Kafka did not acknowledge in time") from None
        if failures:
            raise NotDelivered("Kafka did not take all events")

    def _running(self) -> Producer:
        if self._producer is None or self._fatal:
            self._fatal = False
            self._producer = made_producer(self._kafka, self._timeout_ms, self._most_bytes, self._told)
        if self._thread is None:
            self._thread = threading.Thread(target=self._poll, name="kafka-acknowledgements", daemon=True)
            self._thread.start()
        return self._producer

    def _told(self, error: KafkaError) -> None:
        if error.fatal():  # an idempotent producer that has lost its place: another one begins anew
            self._fatal = True

    def _poll(self) -> None:
        while not self._closing.is_set():
            producer = self._producer
            if producer is None or not producer.poll(_POLL_S):
                self._closing.wait(0 if producer is not None else _POLL_S)
