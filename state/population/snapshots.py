"""What a customer tells the population, and when: once for each interval in which something happened, as of its end.

::

    interval   |---- 1 ----|---- 2 ----|---- 3 ----| ... |---- n ----|
    events       e1  e2  e3      e4
    looked at              ^           ^           ^                 ^
    because            e1, e2, e3      e4    a cart was left    7, 30 or 90 days away

Intervals of a live job begin at a time of each customer's own, so that not all are looked at in one moment.

Whoever is looked at has lived through time until then, so what is told is as of that very moment. What a customer adds
to the counts of all is remembered here, beside what waits for its outcome, so that every message is a difference: to
the counts of values, and in examples that time has answered. So messages may be added up in any order, and an erasure
takes out what was put in.

Where the population is known each customer is said again with each look that tells something (standing.py), unless all
of it was said within the interval, as with an order. A session's end is not looked at by itself, as its last event was,
unless it leaves a cart alone.
"""

from collections.abc import Callable, Iterable
from struct import Struct
from typing import Any, Final, NamedTuple
from zlib import crc32

from state.packing import pack
from state.population.axes import Axis, RawPoint, read_point
from state.population.contributions import contribute
from state.population.labels import NOTHING, Pending, answer, take
from state.population.refusal import unpack_versioned
from state.population.score_inputs import DAY_MS
from state.population.sight import Sight
from state.population.standing import Standing
from state.population.stores import ValueStore
from state.rules.features import FEATURES

MESSAGE_VERSION: Final = 2
VERSION: Final = 3
NEVER: Final = -1
NEVER_MS: Final = 2**63 - 1
AWAY_DAYS: Final = (7, 30, 90)
"""Whoever is away for so long is looked at, and for the lengths of windows that are counted, as these are empty then:
else they would stay in the counts of all with what they did last, and scores would learn nothing of those who are
away."""
GRID_MS: Final = 60_000
"""Intervals are whole numbers of these: looks that were asked for with one interval are recognized with another."""
APART_MS: Final = 1_000
"""So far apart, or a multiple of it, customers are looked at whose intervals begin at different times."""
_HEAD: Final = bytes((0x98, VERSION, 0xD3))
"""How packed states begin: an array of eight, the version, and an integer of 64 bits, when to look again."""
_DUE: Final = Struct(">q")
_REST: Final = len(_HEAD) + _DUE.size


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
    news: bool = True
    """Whether something has happened to the customer since they were told of last, other than time."""

    def packed(self) -> bytes:
        return pack([MESSAGE_VERSION, *self])

    @staticmethod
    def time_of(packed: bytes) -> int:
        """The `as_of_ms` of a packed one, at less cost than the message.

        Raises:
            PopulationError: the bytes are none of a message, or of a newer program's.
        """
        as_of_ms: int = unpack_versioned(packed, MESSAGE_VERSION, "a message")[1]
        return as_of_ms

    @classmethod
    def unpacked(cls, packed: bytes) -> "Message":
        """The message again.

        Raises:
            PopulationError: the bytes are none of a message, or of a newer program's.
        """
        fields = unpack_versioned(packed, MESSAGE_VERSION, "a message")
        customer_id, as_of_ms, deltas, gone, point, examples, *rest = fields  # in version 1 without `news`
        place = None if point is None else tuple(point)
        return cls(customer_id, as_of_ms, deltas, gone, place, tuple(examples), *rest)


class SnapshotSettings(NamedTuple):
    """What is told, and how often."""

    axes: tuple[Axis, ...]
    interval_ms: int
    """Rounded up to whole minutes."""
    session_gap_ms: int
    as_of_ms: int | None = None
    """The end of a bounded run, beyond which time does not pass."""
    watched: tuple[str, ...] = ()
    """Features that are counted whatever rules ask."""
    spread: bool = False
    """Whether customers' intervals begin at different times. Else all who did something are looked at in one moment,
    and whatever happens then waits for that."""


class Look(NamedTuple):
    """What has come of a moment at which a customer may be looked at."""

    next_ms: int | None
    """When to look again."""
    message: Message | None = None
    standing: Standing | None = None
    """For those who know the population."""


class _State(NamedTuple):
    """Of one customer. Bound: the contribution, and `labels.WAITING_MAX` examples."""

    contribution: bytes | None = None
    pending: Pending = NOTHING
    told_ms: int = NEVER
    """As of when something was told last."""
    revision: int = NEVER
    """Of what was told last."""
    left_ms: int = NEVER
    """When the cart that was open then counts as left alone."""
    armed_ms: int = NEVER
    """When the look is for which there is a timer, of those at who stays away. It may be for nothing by then, and asks
    for the next one: so that whoever comes often does not leave a timer with each visit."""

    def packed(self, due_ms: int | None) -> bytes:
        """`due_ms`: when to look again; it has a fixed place, so that whoever comes sooner reads no more."""
        rest = [self.contribution, self.pending.packed(), self.told_ms, self.revision, self.left_ms, self.armed_ms]
        return _HEAD + _DUE.pack(NEVER_MS if due_ms is None else due_ms) + pack(rest)[1:]

    @classmethod
    def unpacked(cls, packed: bytes) -> "_State":
        _, contribution, pending, told_ms, *rest = unpack_versioned(packed, VERSION, "a customer's snapshots")
        # version 1 held a standing that was not told yet; with no revision, the next look tells what is so
        more = () if packed[1] == 1 else tuple(rest)
        return cls(contribution, Pending.unpacked(pending), told_ms, *more)


class SnapshotLogic:
    """Decides when customers are looked at, and turns what is seen into messages; one instance serves all of them."""

    def __init__(self, settings: SnapshotSettings, features: Iterable[str]) -> None:
        """`features`: those whose values are counted."""
        interval_ms = -(-settings.interval_ms // GRID_MS) * GRID_MS
        self._settings = settings._replace(interval_ms=interval_ms)
        self._interval_ms, self._spread, self._starts = interval_ms, settings.spread, interval_ms // APART_MS
        self._grid_ms = APART_MS if settings.spread else GRID_MS
        self.count(features)

    def count(self, features: Iterable[str]) -> None:
        """Count these features from now on; of each customer with the next look."""
        self._features = tuple(sorted({*features, *self._settings.watched}))
        windows = (FEATURES[name].window_days for name in self._features)
        self.away_ms = tuple(days * DAY_MS for days in sorted({*AWAY_DAYS, *filter(None, windows)}))
        """After how long an absence customers are looked at."""

    def is_time(self, time_ms: int) -> bool:
        """Whether customers are looked at then at all: at the last millisecond of an interval, whatever its length."""
        return (time_ms + 1) % self._grid_ms == 0

    def is_in(self, look_ms: int, time_ms: int) -> bool:
        """Whether a time lies in the interval that ends with a look, or after it: then no look comes before that."""
        return time_ms > look_ms - self._interval_ms

    def look_ms(self, key: str, news_ms: int, watermark_ms: int) -> int | None:
        """When to look at the customer `key` of whom there is news as of `news_ms`; None: the run ends before."""
        return self._at_last(key, max(news_ms, watermark_ms + 1))

    def note(self, look_ms: int, store: ValueStore) -> None:
        """Have the customer of the store looked at then."""
        packed = store.load()
        if packed is None or not packed.startswith(_HEAD):
            state = _State() if packed is None else _State.unpacked(packed)
            store.save(state.packed(look_ms))
        elif look_ms < _due_ms(packed):
            store.save(_HEAD + _DUE.pack(look_ms) + packed[_REST:])

    def on_time(
        self, key: str, time_ms: int, store: ValueStore, see: Callable[[], Sight], *, closing: bool = False
    ) -> Look:
        """A moment at which customers are looked at: what to tell, and when to look again.

        Args:
            key: the customer.
            time_ms: event time.
            store: the customer's.
            see: gives the customer as of now; called only if there is a reason.
            closing: the end of a bounded run, after which nothing comes: everything is told.
        """
        packed = store.load()
        state = _State() if packed is None else _State.unpacked(packed)
        if packed is not None and not closing and packed.startswith(_HEAD) and time_ms < (due_ms := _due_ms(packed)):
            if time_ms != state.armed_ms or due_ms == NEVER_MS:
                return Look(None)  # it was set for what has been told since
            store.save(state._replace(armed_ms=due_ms).packed(due_ms))
            return Look(due_ms)
        sight = see()
        as_of_ms, revision, values = sight[:3]
        if values is None:
            deltas, _ = contribute(state.contribution, None, as_of_ms, self._features)
            store.clear()
            told = state.told_ms != NEVER  # perhaps nothing is counted of them, but they are in the sample
            return Look(None, Message(key, as_of_ms, deltas.packed(), True, None, (), 0) if told else None)
        news = revision != state.revision
        # nothing had happened since the look before when the interval of the news began
        quiet_ms = self._begin_ms(key, min(time_ms, as_of_ms)) - 1 if news else as_of_ms
        message = standing = None
        if closing or news or self._next_ms(state) <= as_of_ms:
            deltas, contribution = contribute(state.contribution, values, as_of_ms, self._features)
            away_ms = values.get("since_last_seen_ms") or 0
            step = (
                answer(state.pending, key, as_of_ms, values, quiet_ms)
                if away_ms >= self.away_ms[-1]  # there is no look by which it would be answered
                else take(state.pending, key, as_of_ms, values, None, quiet_ms)
            )
            counted, point = deltas.packed() if deltas else b"", read_point(self._settings.axes, values)
            left_ms = self._settings.session_gap_ms - away_ms if values.get("cart_open") else 0
            left_ms = as_of_ms + left_ms if left_ms > 0 else NEVER
            state = _State(contribution, step.pending, as_of_ms, revision, left_ms, state.armed_ms)
            message = Message(key, as_of_ms, counted, False, point, _packed(step.examples), step.given_up, news)
            standing = None if closing or self._is_said(sight, as_of_ms) else sight.standing(news=news)
        due_ms = self._next_ms(state)
        look_ms = None if due_ms == NEVER_MS else self._at_last(key, max(due_ms, time_ms + 1))
        if look_ms is None or time_ms < state.armed_ms <= look_ms:  # the timer that there is comes first
            store.save(state.packed(look_ms))
            return Look(None, message, standing)
        if due_ms == state.left_ms:  # soon, and seldom
            store.save(state.packed(look_ms))
            return Look(look_ms, message, standing)
        store.save(state._replace(armed_ms=look_ms).packed(look_ms))
        return Look(look_ms, message, standing)

    def _is_said(self, sight: Sight, as_of_ms: int) -> bool:
        """Whether a standing has just said so, as after an order: what aged in an interval is not worth another one."""
        left_ms = None if sight.values is None else sight.values.get("cart_abandoned_at_ms")
        since_ms = sight.said_ms if left_ms is None or left_ms <= sight.said_ms else NEVER
        return since_ms != NEVER and as_of_ms - since_ms < self._settings.interval_ms

    def _next_ms(self, state: _State) -> int:
        """When there is something to tell although nothing happens; NEVER_MS: never."""
        seen_ms = state.pending.seen_ms
        if seen_ms is None:
            return NEVER_MS
        if state.left_ms > state.told_ms:
            return state.left_ms
        return next((seen_ms + away_ms for away_ms in self.away_ms if seen_ms + away_ms > state.told_ms), NEVER_MS)

    def _begin_ms(self, key: str, time_ms: int) -> int:
        """When the customer's interval began that a time lies in."""
        interval_ms = self._interval_ms
        shift_ms = crc32(key.encode("utf-8", "surrogatepass")) % self._starts * APART_MS if self._spread else 0
        return (time_ms - shift_ms) // interval_ms * interval_ms + shift_ms

    def _at_last(self, key: str, time_ms: int) -> int | None:
        """The last millisecond of the customer's interval that a time lies in; None: the run ends before."""
        ends_ms = self._settings.as_of_ms
        at_ms = self._begin_ms(key, time_ms) + self._settings.interval_ms - 1
        return None if ends_ms is not None and at_ms > ends_ms else at_ms


def _due_ms(packed: bytes) -> int:
    """When to look again; of a packed state that begins with _HEAD."""
    due_ms: int = _DUE.unpack_from(packed, len(_HEAD))[0]
    return due_ms


def _packed(examples: Iterable[Any]) -> tuple[bytes, ...]:
    return tuple(example.packed() for example in examples)
