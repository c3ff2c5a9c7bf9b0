"""What a customer's impressions add to the items' sums, and the messages from one ledger to another.

*Shown*: an impression adds the chance that its place was looked at, 1,024 / log2(1 + position), rounded, times the
weight of its time; support 1. That chance is the discount of DCG (Järvelin, Kekäläinen: "Cumulated gain-based
evaluation of IR techniques", ACM TOIS 2002). So over all customers the sum is how many clicks an item would have if it
were like the others, but for one factor common to all: the *expected clicks* of Zhang and Jones ("Comparing click logs
and editorial labels for training query rewriting", WWW 2007), whose measure is clicks over expected clicks (COEC).

*Clicked*: an impression that was clicked adds 1,024 times the same weight, that of the impression, so that numerator
and denominator are of one age; support 1.

A sum is one number of an item, so a message (state/similar/message.py) has no partners.
"""

from collections import Counter
from collections.abc import Iterable
from math import log2
from typing import Final

from schemas.facts import LAST_POSITION
from state.impressions.ledger import Shown
from state.similar.message import FLAGS, PROMPT, SUPPORT, VALUE, VERSION, Fields, write_message
from state.similar.settings import DAY_MS
from state.similar.weights import weight

SHOWN: Final = "shown"
"""The relation of expected clicks."""
CLICKED: Final = "clicked"
"""The relation of clicks."""
HALF_LIFE_MS: Final = 30 * DAY_MS
"""After this long an impression, and a click on it, weighs half of a new one. No setting, as readers go by it, too."""
FULL: Final = 1_024
"""What a click counts, and an impression at the first place."""
EXAMINED: Final = (0, *(round(FULL / log2(1 + position)) for position in range(1, LAST_POSITION + 1)))
"""By position what an impression counts. No quotient is near a half, so that every machine rounds it the same way."""


def click_messages(old: Iterable[Shown], new: Iterable[Shown], *, prompt: bool = False) -> list[tuple[str, bytes]]:
    """The exact difference between what `new` and what `old` add, as (relation|item, message); empty if there is none.

    `prompt`: the items take account of it at once.
    """
    before, after = Counter(old), Counter(new)
    gone, come = before - after, after - before
    if not (gone or come):
        return []
    base = weight(min(time_ms for time_ms, _, _, _ in (*gone, *come)), HALF_LIFE_MS)[1]
    rows: dict[str, Fields] = {}
    for sign, entries in ((-1, gone), (1, come)):
        for (time_ms, product, position, clicked), count in entries.items():
            mantissa, exponent = weight(time_ms, HALF_LIFE_MS)
            unit = sign * count * (mantissa << (exponent - base))
            _add(rows, f"{SHOWN}|{product}", EXAMINED[position] * unit, sign * count, base)
            if clicked:
                _add(rows, f"{CLICKED}|{product}", FULL * unit, sign * count, base)
    return [(key, _written(fields, prompt)) for key, fields in rows.items() if fields[VALUE] or fields[SUPPORT]]


def _add(rows: dict[str, Fields], key: str, value: int, support: int, base: int) -> None:
    fields = rows.get(key)
    if fields is None:
        fields = rows[key] = [VERSION, 0, base, 0, 0]
    fields[VALUE] += value
    fields[SUPPORT] += support


def _written(fields: Fields, prompt: bool) -> bytes:
    if prompt:
        fields[FLAGS] |= PROMPT
    return write_message(fields)
