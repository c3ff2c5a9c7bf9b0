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
from state.similar.message import PROMPT, VERSION, write_message
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
    changes = Counter(new)
    for entry in old:
        changes[entry] -= 1
    changed = [(entry, count) for entry, count in changes.items() if count]
    if not changed:
        return []
    base = weight(min(entry[0] for entry, _ in changed), HALF_LIFE_MS)[1]
    sums: dict[str, list[int]] = {}
    for (time_ms, product, position, clicked), count in changed:
        mantissa, exponent = weight(time_ms, HALF_LIFE_MS)
        unit = count * (mantissa << (exponent - base))
        of_product = sums.get(product)
        if of_product is None:
            of_product = sums[product] = [0, 0, 0, 0]
        of_product[0] += EXAMINED[position] * unit
        of_product[1] += count
        if clicked:
            of_product[2] += FULL * unit
            of_product[3] += count
    messages: list[tuple[str, bytes]] = []
    flags = PROMPT if prompt else 0
    for product, (shown, impressions, clicks, clicked_impressions) in sums.items():
        if shown or impressions:
            messages.append((f"{SHOWN}|{product}", write_message([VERSION, flags, base, shown, impressions])))
        if clicks or clicked_impressions:
            messages.append(
                (f"{CLICKED}|{product}", write_message([VERSION, flags, base, clicks, clicked_impressions]))
            )
    return messages
