"""What became of a customer after a snapshot: the examples that the scores learn from, once time has told.

Two questions are asked of a snapshot as of T:

* `buys_7d`, of everybody: is there an order in (T, T + 7 d] that is not wholly refunded?
* `lapses_30d`, of who has ordered and was seen in (T − 30 d, T]: is there no event at all in (T, T + 30 d]? Who never
  ordered cannot be lost as a customer; who has been away for 30 days has lapsed already, and to foretell that is no
  art. Any event counts as activity, a refund too, as it does for `last_seen_ms`.

Both are answered as of the end of their horizon, with what is known then::

    T                    order        refund             T + 7 d
    |---- waits ------------o------------x---------------|  no: the order was taken back before
    |---- waits ----------------------------o------------|  yes, told here: a refund after this changes nothing

An answer is never given early, not even a clear yes: else the model would hear of those who bought days before it hears
of those who did not, and think too well of everybody (Chapelle, "Modeling delayed feedback", KDD 2014).

Answers are read from later snapshots, which know the newest order (`recency_ms`) and the newest event. A snapshot may
come long after an answer is due, if it says until when nothing had happened since the one before (`quiet_ms`). Else a
newer order may hide whether there was one in time: such an example is given up, not guessed.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

from state.packing import pack
from state.population.refusal import unpack_versioned
from state.population.score_inputs import DAY_MS, score_inputs, vectors
from state.rules.features import PROPENSITIES

VERSION: Final = 1
BUYS, LAPSES = 0, 1
TARGETS: Final = PROPENSITIES
"""The names of the scores; the places are stored."""
HORIZONS_MS: Final = (7 * DAY_MS, 30 * DAY_MS)
SLOTS_MS: Final = (DAY_MS, 5 * DAY_MS)
"""A customer is asked about each at most once in a slot of this length, counted from 1970: the first snapshot in it."""
WAITING_MAX: Final = sum(horizon // slot + 1 for horizon, slot in zip(HORIZONS_MS, SLOTS_MS, strict=True))
"""Examples of a customer that wait at most: a horizon of n slots touches n + 1 of them."""


class Example(NamedTuple):
    """A snapshot with its outcome, to be learnt from. Some 200 bytes, packed."""

    as_of_ms: int
    customer_id: str
    target: int
    """Its place in TARGETS."""
    positive: bool
    inputs: bytes
    """What `score_inputs` gave then, as 32-bit floats."""
    said: float | None
    """The probability that was said then; None: there was no model yet."""

    def packed(self) -> bytes:
        return pack((VERSION, *self))

    @classmethod
    def unpacked(cls, packed: bytes) -> "Example":
        """Raises ValueError: a newer program wrote it."""
        return cls(*unpack_versioned(packed, VERSION, "an example of the scores"))


class Waiting(NamedTuple):
    """A snapshot that waits for its outcomes."""

    as_of_ms: int
    inputs: bytes
    said: tuple[float | None, ...]
    """By target."""
    open: int
    """Bit by target: what has been asked and not been answered."""


class Pending(NamedTuple):
    """State of one customer: what waits, and what the newest snapshot knew.

    Bound: WAITING_MAX examples, some 200 bytes each, packed.
    """

    as_of_ms: int = -1
    ordered_ms: int | None = None
    seen_ms: int | None = None
    waiting: tuple[Waiting, ...] = ()
    """By time."""

    def next_due_ms(self) -> int | None:
        """When the next answer is due; None if nothing waits."""
        due_ms = [
            one.as_of_ms + horizon_ms
            for one in self.waiting
            for target, horizon_ms in enumerate(HORIZONS_MS)
            if one.open >> target & 1
        ]
        return min(due_ms, default=None)

    def packed(self) -> bytes:
        return pack((VERSION, *self))

    @classmethod
    def unpacked(cls, packed: bytes) -> "Pending":
        """Raises ValueError: a newer program wrote it."""
        as_of_ms, ordered_ms, seen_ms, waiting = unpack_versioned(packed, VERSION, "what waits for its outcome")
        return cls(as_of_ms, ordered_ms, seen_ms, tuple(Waiting(at, xs, tuple(p), bits) for at, xs, p, bits in waiting))


NOTHING: Final = Pending()
"""Of whom nothing is known; what to go on with after an erasure, or when consent was withdrawn: nothing is learnt."""


class Step(NamedTuple):
    """What a snapshot, or time, has brought."""

    examples: list[Example]
    pending: Pending
    given_up: int = 0
    """Answers that nobody can give any more."""


def is_asked(target: int, values: Mapping[str, Any]) -> bool:
    """Whether the question is asked of a customer with these features."""
    if target == BUYS:
        return True
    away_ms = values.get("since_last_seen_ms")
    return bool(values.get("orders_total")) and away_ms is not None and away_ms < HORIZONS_MS[LAPSES]


def answer(
    pending: Pending, customer_id: str, as_of_ms: int, values: Mapping[str, Any], quiet_ms: int | None = None
) -> Step:
    """Let a snapshot answer what is due, and ask nothing about it.

    A snapshot older than the newest one changes nothing; one of the same time takes its place, as it may know of late
    events. One of whom nothing is known (erased) leaves nothing, and what is older than the oldest event is dropped
    too: the customer was erased in between.

    Args:
        values: the features as of `as_of_ms`; `last_seen_ms`, `first_seen_ms` and `recency_ms` are read.
        quiet_ms: until when nothing had happened since the snapshot before; None: nobody knows.
    """
    if as_of_ms < pending.as_of_ms:
        return Step([], pending)
    seen_ms, first_ms, recency_ms = values.get("last_seen_ms"), values.get("first_seen_ms"), values.get("recency_ms")
    if seen_ms is None or first_ms is None:
        return Step([], NOTHING)
    ordered_ms = None if recency_ms is None else as_of_ms - recency_ms
    waiting = tuple(one for one in pending.waiting if one.as_of_ms >= first_ms)
    known = Pending(as_of_ms, ordered_ms, seen_ms, waiting)
    return _settled(pending, known, customer_id, pending.as_of_ms if quiet_ms is None else quiet_ms)


def take(
    pending: Pending,
    customer_id: str,
    as_of_ms: int,
    values: Mapping[str, Any],
    said: Mapping[str, float | None] | None = None,
    quiet_ms: int | None = None,
) -> Step:
    """Let a snapshot answer what is due, then ask about it what its slots have room for.

    Args:
        values: the features as of `as_of_ms` (state.rules.features).
        said: the probability of each target that is said of the customer now, if any.
        quiet_ms: as of `answer`.

    Raises:
        ScoreInputError: a feature is no number.
    """
    step = answer(pending, customer_id, as_of_ms, values, quiet_ms)
    known = step.pending
    if known.as_of_ms != as_of_ms:  # older than the newest one, or of somebody who is not known
        return step
    asked = _asked(known.waiting, as_of_ms, values)
    if not asked:
        return step
    told = tuple(None if said is None else said.get(name) for name in TARGETS)
    new = Waiting(as_of_ms, vectors.packed(score_inputs(values)), told, asked)
    return step._replace(pending=known._replace(waiting=(*known.waiting, new)))


def _asked(waiting: tuple[Waiting, ...], as_of_ms: int, values: Mapping[str, Any]) -> int:
    """Bits of the targets that the snapshot is asked about."""
    bits = 0
    for target, slot_ms in enumerate(SLOTS_MS):
        newest_ms = next((one.as_of_ms for one in reversed(waiting) if one.open >> target & 1), None)
        is_free = newest_ms is None or newest_ms // slot_ms < as_of_ms // slot_ms
        bits |= (is_free and is_asked(target, values)) << target
    return bits


def _settled(before: Pending, after: Pending, customer_id: str, quiet_ms: int) -> Step:
    """Answer what is due as of `after`, whose customer was as in `before` until `quiet_ms`."""
    examples: list[Example] = []
    waiting: list[Waiting] = []
    given_up = 0
    for one in after.waiting:
        still_open = one.open
        for target, horizon_ms in enumerate(HORIZONS_MS):
            if not one.open >> target & 1 or one.as_of_ms + horizon_ms > after.as_of_ms:
                continue
            still_open &= ~(1 << target)
            answer = _ANSWERS[target](one.as_of_ms, one.as_of_ms + horizon_ms, before, after, quiet_ms)
            if answer is None:
                given_up += 1
            else:
                examples.append(Example(one.as_of_ms, customer_id, target, answer, one.inputs, one.said[target]))
        if still_open:
            waiting.append(one._replace(open=still_open))
    return Step(examples, after._replace(waiting=tuple(waiting)), given_up)


def _happened(from_ms: int, to_ms: int, before_ms: int | None, after_ms: int | None, quiet_ms: int) -> bool | None:
    """Whether something happened in (from_ms, to_ms], by its newest time as known until then and after."""
    if quiet_ms >= to_ms:  # what was known before is what is so
        after_ms = before_ms
    if after_ms is None or after_ms <= from_ms:
        return False
    if after_ms <= to_ms:
        return True
    return True if before_ms is not None and before_ms > from_ms else None


def _bought(from_ms: int, to_ms: int, before: Pending, after: Pending, quiet_ms: int) -> bool | None:
    return _happened(from_ms, to_ms, before.ordered_ms, after.ordered_ms, quiet_ms)


def _lapsed(from_ms: int, to_ms: int, before: Pending, after: Pending, quiet_ms: int) -> bool | None:
    active = _happened(from_ms, to_ms, before.seen_ms, after.seen_ms, quiet_ms)
    return None if active is None else not active


_ANSWERS: Final[tuple[Callable[[int, int, Pending, Pending, int], bool | None], ...]] = (_bought, _lapsed)
