"""What customers were shown and clicked of it, in one batch from all lines at once, in absolute integers."""

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from math import log2

from .events import Event, parse_events
from .plain import DAY, history_of
from .similar import LEDGER, weight_of

HALF_LIFE = 30 * DAY
FULL = 1_024
LAST_POSITION = 100
LONGEST = 100


@dataclass
class Impression:
    """A product that was on the screen."""

    time_ms: int
    product: str
    position: int
    request: str | None
    clicked: bool = False


@dataclass
class Clicks:
    """By product: value and support of what was shown, and of what was clicked of that."""

    shown: Counter[str]
    shown_support: Counter[str]
    clicked: Counter[str]
    clicked_support: Counter[str]


def batch_clicks(lines: Iterable[bytes], as_of_ms: int) -> Clicks:
    """Over all customers, as of a moment; lines in any order, with duplicates."""
    customers: dict[str, list[Event]] = defaultdict(list)
    for event in parse_events(lines):
        customers[event.subject].append(event)
    sums = Clicks(Counter(), Counter(), Counter(), Counter())
    for events in customers.values():
        for one in impressions(history_of(events, as_of_ms).applied):
            weight = weight_of(one.time_ms, HALF_LIFE)
            sums.shown[one.product] += round(FULL / log2(1 + one.position)) * weight
            sums.shown_support[one.product] += 1
            if one.clicked:
                sums.clicked[one.product] += FULL * weight
                sums.clicked_support[one.product] += 1
    return sums


def impressions(applied: Iterable[Event]) -> list[Impression]:
    """The newest of one customer. A click belongs to the newest then, of its request if it names one.

    The newest 50; or those since another request was shown, if these are more: of them the newest 100.
    """
    everything: list[Impression] = []
    found: list[Impression] = []
    for event in applied:
        if event.type == "recommendation_shown":
            assert event.product_id is not None
            position = min(max(event.position or 1, 1), LAST_POSITION)
            newest = Impression(event.time_ms, event.product_id, position, event.request_id or None)
            everything.append(newest)
            others = [
                n for n, one in enumerate(everything, 1) if newest.request is None or one.request != newest.request
            ]
            of_one_list = len(everything) - max(others, default=0)
            found = everything[-max(LEDGER, min(of_one_list, LONGEST)) :]
        elif event.type == "recommendation_clicked":
            meant = [
                one
                for one in found
                if one.product == event.product_id and (not event.request_id or one.request == event.request_id)
            ]
            if meant:
                meant[-1].clicked = True
    return found
