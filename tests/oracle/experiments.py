"""What comes of experiments, from scratch: each customer's outcome by experiment, as of a moment."""

from collections.abc import Iterable
from dataclasses import dataclass

from .events import Event
from .plain import history_of, orders_of


@dataclass(frozen=True)
class Outcome:
    """Of one customer in one experiment."""

    variant: str
    crossed: bool
    first_ms: int
    shown: int
    clicked: int
    orders: int
    cents: int


def arms(label: str | None) -> dict[str, str]:
    """Experiment: variant. Labels of `name=variant@place/shares`, or a bare variant; with a blank in it it is none."""
    found: dict[str, str] = {}
    for part in label.split(",") if label and " " not in label else ():
        name, equals, variant = part.partition("=")
        if not equals:
            name, variant = "default", part
        found.setdefault(name, variant.partition("@")[0])
    return found


def clicks_of(events: list[Event], name: str, variant: str) -> int:
    """In event order, never more than impressions before."""
    shown = clicked = 0
    for event in sorted(events, key=lambda event: event.order):
        if arms(event.variant).get(name) == variant:
            if event.type == "recommendation_shown":
                shown += 1
            else:
                clicked += clicked < shown
    return clicked


def outcomes_at(events: Iterable[Event], as_of_ms: int, window_ms: int, holdout_window_ms: int) -> dict[str, Outcome]:
    """By experiment, for one customer whose distinct events these are; the one called holdout has its own window."""
    applied = history_of(events, as_of_ms).applied
    shown = [event for event in applied if event.type == "recommendation_shown"]
    clicked = [event for event in applied if event.type == "recommendation_clicked"]
    orders = [order for order in orders_of(applied)[0] if order.counts]
    found: dict[str, Outcome] = {}
    for name in {name for event in shown for name in arms(event.variant)}:
        mine = [event for event in shown if name in arms(event.variant)]
        first, variant = mine[0], arms(mine[0].variant)[name]
        until_ms = first.time_ms + (holdout_window_ms if name == "holdout" else window_ms)
        bought = [order for order in orders if first.time_ms <= order.time_ms < until_ms]
        found[name] = Outcome(
            variant=variant,
            crossed=any(arms(event.variant)[name] != variant for event in mine),
            first_ms=first.time_ms,
            shown=sum(arms(event.variant)[name] == variant for event in mine),
            clicked=clicks_of([*mine, *clicked], name, variant),
            orders=len(bought),
            cents=sum(order.net for order in bought),
        )
    return found
