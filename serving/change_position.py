"""Where a stream of changes is, and what is missing where it cannot go on from there.

The id of each event is a position in the whole topic: `partition:offset` of what comes next in each partition, then `@`
and Kafka's own id of the topic, by which one that was deleted and made anew is told from the one it was.
"""

import re
from collections.abc import Mapping
from typing import Literal, NamedTuple

import msgspec

_PAIRS = r"[0-9]{1,9}:[0-9]{1,18}(,[0-9]{1,9}:[0-9]{1,18})*"
PATTERN = rf"{_PAIRS}(@[0-9a-f]{{32}})?"
"""Of a Last-Event-ID. Those of servers that did not name the topic are good, too."""
_POSITION = re.compile(PATTERN)
_LONGEST = 20_000


class Position(NamedTuple):
    """What comes next."""

    offsets: dict[int, int]
    """By partition."""
    topic_id: str = ""
    """Kafka's id of the topic, 32 hex digits; empty: not known."""


class Kept(NamedTuple):
    """What Kafka has of a partition now."""

    low: int
    """The first offset that is there."""
    high: int
    """The one behind the last."""


class Missing(msgspec.Struct, frozen=True):
    """A partition in which a stream cannot go on where its client was."""

    partition: int
    reason: Literal["expired", "recreated", "beyond-end", "gone"]
    asked: int
    """The offset that would have come next."""
    next: int | None
    """The one that comes instead; null: there is no such partition."""


def parse_position(text: str) -> Position:
    """A Last-Event-ID.

    Raises:
        ValueError: it is none of ours.
    """
    if len(text) > _LONGEST or not _POSITION.fullmatch(text):
        raise ValueError("not an id of this stream")
    listed, _, topic_id = text.partition("@")
    pairs = (pair.split(":") for pair in listed.split(","))
    offsets = {int(partition): int(offset) for partition, offset in pairs}
    if max(offsets.values()) >= 2**63 or max(offsets) >= 2**31:
        raise ValueError("not an id of this stream")
    return Position(offsets, topic_id)


def position_text(position: Position) -> str:
    """The other way."""
    listed = ",".join(f"{partition}:{offset}" for partition, offset in sorted(position.offsets.items()))
    return f"{listed}@{position.topic_id}" if position.topic_id else listed


def go_on(asked: Position, topic_id: str, kept: Mapping[int, Kept]) -> tuple[Position, tuple[Missing, ...]]:
    """Where a stream begins whose client was there, and what it does not get, or not for sure, for that.

    Args:
        asked: what the client wants next. A partition that it has not heard of is new to it.
        topic_id: of the topic as it is now; empty: not known.
        kept: what there is of each of its partitions.
    """
    same = bool(topic_id) and asked.topic_id == topic_id
    if topic_id and asked.topic_id and not same:
        lost = [Missing(partition, "recreated", offset, kept[partition].low if partition in kept else None)
                for partition, offset in sorted(asked.offsets.items())]  # fmt: skip
        return Position({partition: marks.low for partition, marks in kept.items()}, topic_id), tuple(lost)
    begin, missing = {}, []
    for partition, marks in sorted(kept.items()):
        begin[partition] = offset = asked.offsets.get(partition, 0)
        if offset < marks.low:
            begin[partition] = marks.low
            missing.append(Missing(partition, "expired", offset, marks.low))
        elif offset > marks.high:  # its end was lost; or, for all we know, it is another topic, and all of it is new
            begin[partition] = marks.high if same else marks.low
            missing.append(Missing(partition, "beyond-end", offset, begin[partition]))
    gone = sorted(asked.offsets.keys() - kept.keys())
    missing += [Missing(partition, "gone", asked.offsets[partition], None) for partition in gone]
    return Position(begin, topic_id), tuple(missing)
