"""Segment changes as server-sent events (https://html.spec.whatwg.org/multipage/server-sent-events.html).

The id of each event is a position in the whole topic (change_position.py). A client that sends it back as Last-Event-ID
goes on exactly there; nothing is kept for it here. Where that cannot be it is told first, by an event `gap`.
"""

import asyncio
import threading
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from functools import partial
from typing import TypeVar

import msgspec
from confluent_kafka import Consumer, KafkaError, KafkaException, TopicCollection, TopicPartition
from confluent_kafka.admin import AdminClient

from serving.change_position import Kept, Missing, Position, go_on, position_text
from serving.kafka import KafkaSettings, made_admin, made_consumer
from serving.stopping import Stopping

MOST_AT_ONCE = 500
MOST_BYTES, MOST_BYTES_PER_S = 64 << 20, 8 << 20
"""Of one stream. The server cannot see how fast a client reads, and keeps in memory what it does not: so it ends a
stream after so much, and the client goes on by its Last-Event-ID."""
_POLL_S = 0.2
_ASK_S, _ASK_AT_ONCE_S = 10.0, 0.5
"""How long Kafka is asked for, and how long at a time: in between it is looked whether the server ends."""
_CLOSE_S = 2.0
_LOOK_EVERY_S, _LOOK_S = 5.0, 2.0
"""How often it is looked whether the topic is another one of the same name, and how long that may take."""
_PASSING = (KafkaError._TRANSPORT, KafkaError._TIMED_OUT, KafkaError._ALL_BROKERS_DOWN)

T = TypeVar("T")
Send = Callable[[bytes], Awaitable[None]]


class FeedError(Exception):
    """The topic cannot be read."""


class _Change(msgspec.Struct):
    segment: str


class _Gap(msgspec.Struct):
    partitions: tuple[Missing, ...]


_segment_of = msgspec.json.Decoder(_Change).decode
_encode = msgspec.json.Encoder().encode


class ChangeFeed:
    """Streams of one worker, each with a consumer and a thread of its own."""

    def __init__(
        self,
        kafka: KafkaSettings,
        most: int,
        heartbeat_s: float,
        sent: Callable[[int], None],
        stopping: Stopping | None = None,
        most_each: int | None = None,
    ) -> None:
        """No thread yet.

        Args:
            kafka: where from.
            most: streams at a time.
            heartbeat_s: how often a stream without changes sends a sign of life.
            sent: is told how many changes were sent.
            stopping: that the server ends.
            most_each: streams of one key at a time; None: as many as there are.
        """
        self._stopping = stopping or Stopping()
        self._kafka, self._most, self._heartbeat_s, self._sent = kafka, most, heartbeat_s, sent
        self._threads = ThreadPoolExecutor(most, thread_name_prefix="changes")
        self._closing = False
        self._most_each = most if most_each is None else most_each
        self._held: Counter[str] = Counter()
        """By key, streams that are open or being opened."""
        self._open: dict[Stream, str] = {}
        """With the key that each counts for."""
        self._closings: set[Future[None]] = set()
        self._making = threading.Lock()
        self._admin: AdminClient | None = None

    @property
    def streams(self) -> int:
        """How many there are now."""
        return self._held.total()

    @property
    def full(self) -> bool:
        """Whether another stream would be too many."""
        return self.streams >= self._most

    def has_enough(self, key: str) -> bool:
        """Whether another one would be too many for this key."""
        return self._held[key] >= self._most_each

    @property
    def _ends(self) -> bool:
        return self._closing or self._stopping.has_begun

    def close(self) -> None:
        """End all streams, and wait until their consumers are closed, for some seconds at most."""
        self._closing = True
        for stream in list(self._open):
            self.release(stream)
        wait(list(self._closings), _CLOSE_S)
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def open(self, key: str, position: Position | None, from_start: bool) -> "Stream":
        """A stream that begins at a position, at the beginning of the topic, or now. It must be run, or released.

        Raises:
            FeedError: Kafka cannot be reached, or there is no such topic.
        """
        opening = self._threads.submit(self._opened, position, from_start)
        self._held[key] += 1
        try:
            stream = await asyncio.wrap_future(opening)
        except BaseException as error:
            self._held[key] -= 1
            if isinstance(error, asyncio.CancelledError):
                opening.add_done_callback(_close_opened)  # nobody waits for it any more
            raise
        self._open[stream] = key
        return stream

    def release(self, stream: "Stream") -> None:
        """A stream has ended, or will not be run. May be called twice."""
        if stream not in self._open:
            return
        self._held[self._open.pop(stream)] -= 1
        try:
            closing = self._threads.submit(stream.close)
        except RuntimeError:  # the server ends, and did not wait for this one
            stream.close()
        else:
            self._closings.add(closing)
            closing.add_done_callback(self._closings.discard)

    async def run(self, stream: "Stream", segments: Collection[str], send: Send) -> None:
        """Send changes of these segments (all, if none is named) until the client goes, or the server ends."""
        loop = asyncio.get_running_loop()
        try:
            await send(_beginning(stream))
            spoke_s = looked_s = time.monotonic()
            in_all = 0
            while not (self._ends or stream.is_lost) and in_all < MOST_BYTES:
                if time.monotonic() - looked_s >= _LOOK_EVERY_S:
                    looked_s = time.monotonic()
                    if await loop.run_in_executor(self._threads, self._is_of_another, stream):
                        break  # its offsets mean other records there; the client is told when it comes again
                lines, count = await loop.run_in_executor(self._threads, stream.read, segments)
                if not lines and time.monotonic() - spoke_s < self._heartbeat_s:
                    continue
                told = b"".join(lines) or f": on\nid: {position_text(stream.position)}\n\n".encode()
                await send(told)
                self._sent(count)
                spoke_s, in_all = time.monotonic(), in_all + len(told)
                await asyncio.sleep(len(told) / MOST_BYTES_PER_S)
        finally:
            self.release(stream)

    def _opened(self, position: Position | None, from_start: bool) -> "Stream":
        topic = self._kafka.segment_changes
        consumer = made_consumer(self._kafka, lambda _: None)
        try:
            found = self._asked(lambda within_s: consumer.list_topics(topic, within_s)).topics[topic]
            if found.error is not None:
                raise FeedError(f"there is no topic {topic}")
            topic_id = self._topic_id(topic)
            kept = {}
            for number in found.partitions:
                partition = TopicPartition(topic, number)
                kept[number] = Kept(*self._asked(partial(consumer.get_watermark_offsets, partition)))
            return Stream(consumer, topic, _begin(position, from_start, topic_id, kept))
        except KafkaException as error:
            consumer.close()
            raise FeedError(error.args[0].str()) from None
        except BaseException:
            consumer.close()
            raise

    def _asked(self, ask: Callable[[float], T]) -> T:
        """What Kafka answers; `ask` gets how long it may take. Gives up soon when the server ends."""
        until_s = time.monotonic() + _ASK_S
        while True:
            try:
                return ask(_ASK_AT_ONCE_S)
            except KafkaException as error:
                if error.args[0].code() not in _PASSING or self._ends or time.monotonic() >= until_s:
                    raise

    def _is_of_another(self, stream: "Stream") -> bool:
        """Whether the topic is not the one any more that the stream began with."""
        known, now = stream.position.topic_id, self._topic_id(self._kafka.segment_changes, _LOOK_S)
        return bool(known and now) and known != now

    def _topic_id(self, topic: str, within_s: float = _ASK_S) -> str:
        """Kafka's id of the topic; empty where it cannot be told."""
        with self._making:
            self._admin = self._admin or made_admin(self._kafka, lambda _: None)
        asked = self._admin.describe_topics(TopicCollection([topic]), request_timeout=within_s)[topic]
        until_s = time.monotonic() + within_s
        while not asked.done() and not self._ends and time.monotonic() < until_s:
            wait([asked], _ASK_AT_ONCE_S)
        try:
            found = asked.result(0).topic_id
        except (KafkaException, TimeoutError):
            return ""
        bits = (found.get_most_significant_bits(), found.get_least_significant_bits())
        return "".join(f"{half % 2**64:016x}" for half in bits) if any(bits) else ""


class Stream:
    """One reader of the topic. Every method may block, and belongs in a thread."""

    def __init__(self, consumer: Consumer, topic: str, begin: tuple[Position, tuple[Missing, ...]]) -> None:
        """`begin`: where, and what is missing before that."""
        self._consumer = consumer
        self._using = threading.Lock()
        self._closed = False
        self.position, self.missing = begin
        self.is_lost = False
        """Whether what comes next is not in the topic any more. The client is told when it asks where to go on."""
        offsets = self.position.offsets.items()
        consumer.assign([TopicPartition(topic, number, offset) for number, offset in offsets])

    def read(self, segments: Collection[str]) -> tuple[list[bytes], int]:
        """Events that have come, ready to be sent, and how many; none if nothing has come for a moment."""
        with self._using:
            messages = [] if self._closed else self._consumer.consume(MOST_AT_ONCE, _POLL_S)
        lines: list[bytes] = []
        for message in messages:
            if (error := message.error()) is not None:
                self.is_lost |= error.code() == KafkaError._AUTO_OFFSET_RESET
                continue  # all others pass, or go on until the client gives up
            partition, offset, value = message.partition(), message.offset(), message.value()
            if partition is None or offset is None:
                continue
            self.position.offsets[partition] = offset + 1
            if value is not None and (not segments or _named(value) in segments):
                data = b"\ndata: ".join(
                    value.splitlines()
                )  # a line of its own would be another field, or end the event
                lines.append(b"id: %b\ndata: %b\n\n" % (position_text(self.position).encode(), data))
        return lines, len(lines)

    def close(self) -> None:
        """Let go of the consumer once nobody reads from it: what else would happen its makers do not say."""
        with self._using:
            if not self._closed:
                self._closed = True
                self._consumer.close()


def _begin(
    position: Position | None, from_start: bool, topic_id: str, kept: Mapping[int, Kept]
) -> tuple[Position, tuple[Missing, ...]]:
    if position is not None:
        return go_on(position, topic_id, kept)
    return Position({number: marks.low if from_start else marks.high for number, marks in kept.items()}, topic_id), ()


def _beginning(stream: Stream) -> bytes:
    """The first block: where the stream begins, and what is missing before; at once, so that nobody knows but one."""
    lines = ["retry: 1000", f"id: {position_text(stream.position)}"]
    if stream.missing:
        lines += ["event: gap", f"data: {_encode(_Gap(stream.missing)).decode()}"]
    return "\n".join([*lines, "", ""]).encode()


def _close_opened(opening: "Future[Stream]") -> None:
    if not opening.cancelled() and opening.exception() is None:
        opening.result().close()


def _named(value: bytes) -> str:
    try:
        return _segment_of(value).segment
    except msgspec.MsgspecError:
        return ""
