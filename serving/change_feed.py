"""Segment changes as server-sent events (https://html.spec.whatwg.org/multipage/server-sent-events.html).

The id of each event is a position in the whole topic: `partition:offset` of what comes next in each partition. A client
that sends it back as Last-Event-ID goes on exactly there; nothing is kept for it here.
"""

import asyncio
import re
import time
from collections.abc import Awaitable, Callable, Collection
from concurrent.futures import ThreadPoolExecutor

import msgspec
from confluent_kafka import Consumer, KafkaException, TopicPartition

from serving.kafka import KafkaSettings, made_consumer
from serving.stopping import Stopping

MOST_AT_ONCE = 500
MOST_BYTES, MOST_BYTES_PER_S = 64 << 20, 8 << 20
"""Of one stream. The server cannot see how fast a client reads, and keeps in memory what it does not: so it ends a
stream after so much, and the client goes on by its Last-Event-ID."""
_POLL_S = 0.2
_ASK_S = 10.0
_POSITION = re.compile(r"[0-9]{1,9}:[0-9]{1,18}(,[0-9]{1,9}:[0-9]{1,18})*")

Send = Callable[[bytes], Awaitable[None]]
Position = dict[int, int]


class FeedError(Exception):
    """The topic cannot be read."""


class _Change(msgspec.Struct):
    segment: str


_segment_of = msgspec.json.Decoder(_Change).decode


def parse_position(text: str) -> Position:
    """A Last-Event-ID.

    Raises:
        ValueError: it is none of ours.
    """
    if len(text) > 20_000 or not _POSITION.fullmatch(text):
        raise ValueError("not an id of this stream")
    pairs = (pair.split(":") for pair in text.split(","))
    position = {int(partition): int(offset) for partition, offset in pairs}
    if max(position.values()) >= 2**63 or max(position) >= 2**31:
        raise ValueError("not an id of this stream")
    return position


def position_text(position: Position) -> str:
    """The other way."""
    return ",".join(f"{partition}:{offset}" for partition, offset in sorted(position.items()))


class ChangeFeed:
    """Streams of one worker, each with a consumer and a thread of its own."""

    def __init__(
        self,
        kafka: KafkaSettings,
        most: int,
        heartbeat_s: float,
        sent: Callable[[int], None],
        stopping: Stopping | None = None,
    ) -> None:
        """No thread yet. `sent` is told how many changes were sent."""
        self._stopping = stopping or Stopping()
        self._kafka, self._most, self._heartbeat_s, self._sent = kafka, most, heartbeat_s, sent
        self._threads = ThreadPoolExecutor(most, thread_name_prefix="changes")
        self._closing = False
        self.streams = 0
        """How many there are now."""

    @property
    def full(self) -> bool:
        """Whether another stream would be too many."""
        return self.streams >= self._most

    def close(self) -> None:
        """End all streams soon."""
        self._closing = True
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def open(self, position: Position | None, from_start: bool) -> "Stream":
        """A stream that begins at a position, at the beginning of the topic, or now.

        Raises:
            FeedError: Kafka cannot be reached, or there is no such topic.
        """
        self.streams += 1
        try:
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(self._threads, self._opened, position, from_start)
        except BaseException:
            self.streams -= 1
            raise

    async def run(self, stream: "Stream", segments: Collection[str], send: Send) -> None:
        """Send changes of these segments (all, if none is named) until the client goes, or the server ends."""
        loop = asyncio.get_running_loop()
        try:
            await send(f"retry: 1000\nid: {position_text(stream.position)}\n\n".encode())
            spoke_s, in_all = time.monotonic(), 0
            while not (self._closing or self._stopping.has_begun) and in_all < MOST_BYTES:
                lines, count = await loop.run_in_executor(self._threads, stream.read, segments)
                if not lines and time.monotonic() - spoke_s < self._heartbeat_s:
                    continue
                told = b"".join(lines) or f": on\nid: {position_text(stream.position)}\n\n".encode()
                await send(told)
                self._sent(count)
                spoke_s, in_all = time.monotonic(), in_all + len(told)
                await asyncio.sleep(len(told) / MOST_BYTES_PER_S)
        finally:
            self.streams -= 1
            self._threads.submit(stream.close) if not self._closing else stream.close()

    def _opened(self, position: Position | None, from_start: bool) -> "Stream":
        consumer = made_consumer(self._kafka, lambda _: None)
        try:
            return Stream(consumer, self._kafka.segment_changes, position, from_start)
        except KafkaException as error:
            consumer.close()
            raise FeedError(error.args[0].str()) from None
        except BaseException:
            consumer.close()
            raise


class Stream:
    """One reader of the topic. Every method may block, and belongs in a thread."""

    def __init__(self, consumer: Consumer, topic: str, position: Position | None, from_start: bool) -> None:
        found = consumer.list_topics(topic, timeout=_ASK_S).topics[topic]
        if found.error is not None:
            raise FeedError(f"there is no topic {topic}")
        self._consumer = consumer
        self.position: Position = {}
        """What comes next, by partition."""
        for number in found.partitions:
            low, high = consumer.get_watermark_offsets(TopicPartition(topic, number), timeout=_ASK_S)
            begin = low if from_start else high
            if position is not None:  # a partition that the client has not heard of is new to it
                begin = min(max(position.get(number, low), low), high)
            self.position[number] = begin
        consumer.assign([TopicPartition(topic, number, begin) for number, begin in self.position.items()])

    def read(self, segments: Collection[str]) -> tuple[list[bytes], int]:
        """Events that have come, ready to be sent, and how many; none if nothing has come for a moment."""
        lines: list[bytes] = []
        for message in self._consumer.consume(MOST_AT_ONCE, _POLL_S):
            if message.error():
                continue  # passes, or goes on until the client gives up
            partition, offset, value = message.partition(), message.offset(), message.value()
            if partition is None or offset is None:
                continue
            self.position[partition] = offset + 1
            if value is not None and (not segments or _named(value) in segments):
                lines.append(b"id: %b\ndata: %b\n\n" % (position_text(self.position).encode(), value))
        return lines, len(lines)

    def close(self) -> None:
        """Let go of the consumer."""
        self._consumer.close()


def _named(value: bytes) -> str:
    try:
        return _segment_of(value).segment
    except msgspec.MsgspecError:
        return ""
