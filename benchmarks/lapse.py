"""The simulated shop in time-lapse: many events a second, yet few of any one customer, as in a large shop.

A log of the shop spans two months. It is cut into folds of equal length, all folds are laid over one another, and time
runs `FASTER` in them. A customer of one fold is not the one of another::

    the shop's time    |---- fold 0 ----|---- fold 1 ----|-- ...
    its log              c1 ..   c2 ...   c1 .  c3 . ..
    real time          |-|                                       c1~0, c2~0, c1~1 and c3~1, all at once

So sessions are as long as they were, and their events as far apart, in units of the session gap and of the other times
that `lapse_settings` divides by as much. A session that goes on beyond its fold goes on at the beginning of the next
one, as another customer's; and the first sessions end a session gap after the start, which is half of `STEADY_S`.

Before the start there is a history, not paced, in which days are as long as ever:

* of those who come now: up to three earlier visits of theirs in the log, `RETURN_MS` before;
* of others, as many as have visits now: the first events of a visit `LEFT_MS` before. It passes out of a window of the
  features while the load lasts, at its own time of the fold. In a shop that has been open for two months as many
  windows run out per event, three of five for each visit, and of customers who mostly are not there.
"""

import re
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from operator import itemgetter

import msgspec

from jobs.simulation import SimulationSettings, simulate
from schemas.decode import Decoder
from schemas.settings import DAY_MS, HOUR_MS, Settings

FASTER = 120
STEADY_S = 30.0
"""An hour of the shop: from then on about as many sessions end as begin."""
EVENTS_PER_CUSTOMER = 25
"""Of those who might come, as in the simulated shop's default log."""
LEFT_MS = tuple(days * DAY_MS for days in (1, 7, 30))
"""Three windows of the features; there are those of 14 and of 90 days, too."""
LEAVERS_EVENTS = 3
"""So many of a visit: what runs out is written once for a visit, however long it was."""
RETURN_MS = tuple(hours * HOUR_MS for hours in (36, 8 * 24, 20 * 24))
"""Between windows, so that none is left."""
_DIVIDED = ("out_of_orderness_ms", "session_gap_ms", "session_id_idle_ms", "profile_interval_ms", "profile_refresh_ms")

Sent = tuple[int, bytes, bytes]
"""(milliseconds after the start, subject, the event's JSON behind its timestamp)."""

_TIMESTAMP = re.compile(rb'"timestamp":(?:\d+|"[^"]*"),')
_ID = re.compile(rb'("(?:event|customer|anonymous|session|order|request)_id":"[^"]*)"')


@dataclass(frozen=True, slots=True)
class Lapse:
    """A load, each part in the order of time."""

    history: list[Sent]
    """Before the start."""
    paced: list[Sent]


@dataclass(slots=True)
class _Customer:
    """One of the log."""

    fold: int = -1
    seen_ms: int = 0
    visits: deque[list[tuple[int, bytes]]] = field(default_factory=lambda: deque(maxlen=len(RETURN_MS)))
    """The newest ones: (time in the fold, event behind its timestamp)."""


def lapse_settings(**others: int) -> Settings:
    """The defaults, or these, but what is about sessions, profiles and the watermark is a `FASTER`-th."""
    settings = Settings(**others)
    return msgspec.structs.replace(settings, **{name: getattr(settings, name) // FASTER for name in _DIVIDED})


def lapse(rate: int, seconds: float) -> Lapse:
    """So many events a second for so long, and what came before. All of it is in memory, 0.6 KB an event."""
    fold_ms = int(seconds * 1_000 * FASTER)
    gap_ms = Settings().session_gap_ms
    customers: dict[str, _Customer] = {}
    made = Lapse([], [])
    for subject, time_ms, body in _shop(int(rate * seconds)):
        fold, into_ms = divmod(time_ms, fold_ms)
        into_ms //= FASTER
        customer = customers.get(subject) or customers.setdefault(subject, _Customer())
        if fold != customer.fold:
            customer.fold = fold
            made.history.extend(_visits_before(customer, subject, fold))
            customer.visits.append([])
        elif time_ms - customer.seen_ms > gap_ms:
            customer.visits.append([])
        customer.seen_ms = time_ms
        customer.visits[-1].append((into_ms, body))
        made.paced.append(_sent(into_ms, subject, body, b"~%d" % fold))
        if len(customer.visits[-1]) <= LEAVERS_EVENTS:
            for other, ago_ms in enumerate(LEFT_MS):
                made.history.append(_sent(into_ms - ago_ms, subject, body, b"~%d-%d" % (fold, other)))
    made.history.sort(key=itemgetter(0))
    made.paced.sort(key=itemgetter(0))
    return made


def _visits_before(customer: _Customer, subject: str, fold: int) -> Iterator[Sent]:
    for ago_ms, visit in zip(RETURN_MS, reversed(customer.visits), strict=False):
        for into_ms, body in visit:
            yield _sent(into_ms - ago_ms, subject, body, b"~%d" % fold)


def _shop(events: int) -> Iterator[tuple[str, int, bytes]]:
    """The log: (subject, time, event behind its timestamp)."""
    decode = Decoder(Settings()).decode
    for line in simulate(SimulationSettings(events=events, customers=max(1, events // EVENTS_PER_CUSTOMER))):
        subject, fact = decode(line)
        yield subject, fact.time_ms, b"," + _TIMESTAMP.sub(b"", line, count=1)[1:]


def _sent(at_ms: int, subject: str, body: bytes, ending: bytes) -> Sent:
    return at_ms, subject.encode() + ending, renamed(body, ending)


def renamed(body: bytes, ending: bytes) -> bytes:
    """An event as another customer's: the names of events, sessions, orders and requests have the ending, too."""
    return _ID.sub(rb"\1" + ending + b'"', body)
