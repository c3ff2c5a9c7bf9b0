"""What a customer tells the population, and when: at most once in an interval, and at last what is true.

::

    interval   |---- 1 ----|---- 2 ----|---- 3 ----|
    standings    s1  s2  s3                  s4
    told         s1         s3               s4         s3 at the end of interval 1: nothing newer came

What a customer adds to the counts of all is remembered here, beside what waits for its outcome, so that every message
is a difference: to the counts of values, and in examples that time has answered. So messages may be added up in any
order, and an erasure takes out what was put in.
"""

from collections.abc import Iterable, Mapping
from struct import Struct
from typing import Any, Final, NamedTuple

from state.packing import pack
from state.population.axes import Axis, RawPoint, read_point
from state.population.contributions import contribute
from state.population.labels import NOTHING, Pending, Step, pass_time, take
from state.population.refusal import unpack_versioned
from state.population.standing import Standing, values_of
from state.population.stores import ValueStore

VERSION: Final = 1
NEVER: Final = -1
_HEAD: Final = bytes((0x97, VERSION, 0xD3))
"""How packed states begin: an array of seven, the version, and an integer of 64 bits, when there is something to do."""
_DUE: Final = Struct(">q")
_NEVER_DUE: Final = 2**63 - 1


class Message(NamedTuple):
    """What one customer tells. Some 300 bytes, packed, and 200 for each example."""

    customer_id: str
    as_of_ms: int
    deltas: bytes
    """Packed `Deltas`; empty: none."""
    gone: bool
    """The customer is not to be counted any more (erased, consent withdrawn)."""
    point: RawPoint | None
    """The place on the axes of the clusters, if it is told."""
    examples: tuple[bytes, ...]
    """Packed `Example`s."""
    given_up: int
    """Answers that nobody can give."""

    def packed(self) -> bytes:
        return pack([VERSION, *self])

    @classmethod
    def unpacked(cls, packed: bytes) -> "Message":
        """The message again.

        Raises:
            PopulationError: the bytes are none of a message, or of a newer program's.
        """
        customer_id, as_of_ms, deltas, gone, point, examples, given_up = unpack_versioned(packed, VERSION, "a message")
        place = None if point is None else tuple(point)
        return cls(customer_id, as_of_ms, deltas, gone, place, tuple(examples), given_up)


class SnapshotSettings(NamedTuple):
    """What is told, and how often."""

    axes: tuple[Axis, ...]
    interval_ms: int
    settled_ms: int
    """So much later than it was true, at most, a standing comes (the interval of profiles)."""
    as_of_ms: int | None = None
    """The end of a bounded run, beyond which time does not pass."""


class _State(NamedTuple):
    """Of one customer. Bound: the contribution, `labels.WAITING_MAX` examples, and one standing's features."""

    contribution: bytes | None = None
    pending: Pending = NOTHING
    told_ms: int = NEVER
    """As of when something was told last."""
    waiting_ms: int = NEVER
    waiting: bytes = b""
    """A standing that was not told because its interval had been spoken of."""

    def packed(self, due_ms: int | None) -> bytes:
        """`due_ms`: when there is something to do; it has a fixed place, so that whoever comes sooner reads no more."""
        rest = [self.contribution, self.pending.packed(), self.told_ms, self.waiting_ms, self.waiting]
        return _HEAD + _DUE.pack(_NEVER_DUE if due_ms is None else due_ms) + pack(rest)[1:]

    @classmethod
    def unpacked(cls, packed: bytes) -> "_State":
        _, contribution, pending, *rest = unpack_versioned(packed, VERSION, "a customer's snapshots")
        return cls(contribution, Pending.unpacked(pending), *rest)


class SnapshotLogic:
    """Turns standings into messages; one instance serves all customers of a subtask."""

    def __init__(self, settings: SnapshotSettings, features: Iterable[str]) -> None:
        """`features`: those whose values are counted."""
        self._settings = settings
        self.count(features)

    def count(self, features: Iterable[str]) -> None:
        """Count these features from now on; of each customer with the next standing."""
        self._features = tuple(sorted(features))

    def on_standing(
        self, key: str, standing: Standing, watermark_ms: int, store: ValueStore, *, closing: bool = False
    ) -> tuple[int | None, Message | None]:
        """What to tell now, and when to come again. `closing`: the end of a bounded run, after which nothing comes."""
        state = self._state(store)
        if not standing.shown:
            deltas, _ = contribute(state.contribution, None, standing.as_of_ms, self._features)
            store.clear()
            told = state.told_ms != NEVER  # perhaps nothing is counted of them, but they are in the sample
            return None, Message(key, standing.as_of_ms, deltas.packed(), True, None, (), 0) if told else None
        if not closing and self._interval(standing.as_of_ms) <= self._interval(state.told_ms):
            state = state._replace(waiting_ms=standing.as_of_ms, waiting=standing.features)
            return self._saved(state, watermark_ms, store), None
        message, state = self._tell(key, state, standing.as_of_ms, standing.values())
        return self._saved(state, watermark_ms, store), message

    def on_timer(
        self, key: str, time_ms: int, watermark_ms: int, store: ValueStore
    ) -> tuple[int | None, Message | None]:
        """An interval is over, or an answer is due."""
        packed = store.load()
        if packed is None or (packed.startswith(_HEAD) and time_ms < _DUE.unpack_from(packed, len(_HEAD))[0]):
            return None, None  # it is the customer's own timer
        state, message = _State.unpacked(packed), None
        if state.waiting and time_ms >= self._end_ms(state.told_ms):
            values = values_of(state.waiting)
            message, state = self._tell(key, state._replace(waiting=b""), state.waiting_ms, values)
        due_ms = state.pending.next_due_ms()
        ends_ms = self._settings.as_of_ms
        now_ms = time_ms if ends_ms is None else min(time_ms, ends_ms)  # the last timer is at the end of all times
        if message is None and not state.waiting and due_ms is not None and due_ms + self._settings.settled_ms < now_ms:
            step = pass_time(state.pending, key, now_ms - self._settings.settled_ms)
            state = state._replace(pending=step.pending)
            if step.examples or step.given_up:
                message = Message(key, now_ms, b"", False, None, _packed(step), step.given_up)
        return self._saved(state, watermark_ms, store), message

    def _tell(self, key: str, state: _State, as_of_ms: int, values: Mapping[str, Any]) -> tuple[Message, _State]:
        settings = self._settings
        deltas, contribution = contribute(state.contribution, values, as_of_ms, self._features)
        step = take(state.pending, key, as_of_ms, values)
        packed = deltas.packed() if deltas else b""
        point = read_point(settings.axes, values)
        message = Message(key, as_of_ms, packed, False, point, _packed(step), step.given_up)
        return message, _State(contribution, step.pending, as_of_ms)

    def _saved(self, state: _State, watermark_ms: int, store: ValueStore) -> int | None:
        """Keep the state; when to come again."""
        asked_ms = state.pending.next_due_ms()
        times = [] if asked_ms is None else [asked_ms + self._settings.settled_ms + 1]
        times += [self._end_ms(state.told_ms)] * bool(state.waiting)
        due_ms = min(times, default=None)
        store.save(state.packed(due_ms))
        if due_ms is None:
            return None
        wake_ms, ends_ms = max(due_ms, watermark_ms + 1), self._settings.as_of_ms
        return None if ends_ms is not None and wake_ms > ends_ms else wake_ms

    def _interval(self, at_ms: int) -> int:
        return at_ms // self._settings.interval_ms

    def _end_ms(self, at_ms: int) -> int:
        return (self._interval(at_ms) + 1) * self._settings.interval_ms

    def _state(self, store: ValueStore) -> _State:
        packed = store.load()
        return _State() if packed is None else _State.unpacked(packed)


def _packed(step: Step) -> tuple[bytes, ...]:
    return tuple(example.packed() for example in step.examples)
