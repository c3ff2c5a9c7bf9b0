"""Random histories of one customer, what is known of them at a time, and the answers recomputed from the whole list."""

from random import Random
from typing import Any, NamedTuple

HOUR, DAY = 3_600_000, 86_400_000
START = 1_740_787_200_000
HORIZONS = (7 * DAY, 30 * DAY)
SLOTS = (DAY, 5 * DAY)


class Event(NamedTuple):
    time_ms: int
    arrives_ms: int
    kind: str
    """view, order, refund or erase."""
    order_id: int = 0


Asked = tuple[int, int]
"""(as_of_ms, target)"""


def history(random: Random, days: int, lateness_ms: int = 5 * DAY, erasures: bool = True) -> list[Event]:
    """Views, orders, orders that come twice, refunds before and after the horizon, erasures; some of them late."""
    events: list[Event] = []
    span = random.choice([days, days // 3, days // 8])  # some stay away afterwards
    for _ in range(random.randrange(1, 40)):
        time_ms = START + random.randrange(span * DAY)
        kind = random.choice(
            ["view", "view", "order", "order", "erase" if erasures and random.random() < 0.1 else "view"]
        )
        late_ms = random.randrange(lateness_ms) if kind != "erase" and lateness_ms and random.random() < 0.3 else 0
        events.append(Event(time_ms, time_ms + late_ms, kind, len(events)))
        if kind == "order" and random.random() < 0.4:
            back_ms = time_ms + random.randrange(1, 12 * DAY)
            events.append(Event(back_ms, back_ms, "refund", len(events) - 1))
        if kind == "order" and random.random() < 0.2:  # delivered once more
            events.append(events[-1] if events[-1].kind == "order" else events[-2])
    return sorted(events)


def known(events: list[Event], now_ms: int) -> list[Event]:
    """What has happened and arrived, since the newest erasure."""
    there = [event for event in events if event.time_ms <= now_ms and event.arrives_ms <= now_ms]
    erased_ms = max((event.time_ms for event in there if event.kind == "erase"), default=-1)
    return [event for event in there if event.time_ms > erased_ms]


def live_orders(events: list[Event]) -> list[int]:
    """Times of the orders that were not taken back."""
    back = {event.order_id for event in events if event.kind == "refund"}
    return sorted({event.time_ms for event in events if event.kind == "order" and event.order_id not in back})


def values_at(events: list[Event], now_ms: int) -> dict[str, Any]:
    """The features that the labels read, and one that they keep."""
    there = known(events, now_ms)
    orders = live_orders(there)
    times = [event.time_ms for event in there]
    return {
        "recency_ms": now_ms - orders[-1] if orders else None,
        "last_seen_ms": max(times, default=None),
        "first_seen_ms": min(times, default=None),
        "since_last_seen_ms": now_ms - max(times) if times else None,
        "orders_total": len(orders),
        "views_30d": sum(event.kind == "view" for event in there),
    }


def asked_of(events: list[Event], snapshots: list[int]) -> list[Asked]:
    """Which of the snapshots are asked about, by the slots alone; erasures empty them."""
    erased = [event.time_ms for event in events if event.kind == "erase"]
    found: list[Asked] = []
    for target, slot_ms in enumerate(SLOTS):
        taken: set[tuple[int, int]] = set()
        for at_ms in snapshots:
            there = known(events, at_ms)
            slot = (at_ms // slot_ms, sum(time_ms <= at_ms for time_ms in erased))
            if slot in taken or not there:
                continue
            seen = max(event.time_ms for event in there)
            if target == 1 and not (live_orders(there) and at_ms - seen < 30 * DAY):
                continue
            taken.add(slot)
            found.append((at_ms, target))
    return sorted(found)


def answers(events: list[Event], asked: list[Asked], until_ms: int) -> dict[Asked, bool]:
    """From the whole list: what was known at the end of each horizon."""
    erased = [event.time_ms for event in events if event.kind == "erase"]
    found: dict[Asked, bool] = {}
    for at_ms, target in asked:
        due_ms = at_ms + HORIZONS[target]
        if due_ms > until_ms or any(at_ms < time_ms <= due_ms for time_ms in erased):
            continue
        there = known(events, due_ms)
        times = live_orders(there) if target == 0 else [event.time_ms for event in there]
        happened = any(at_ms < time_ms <= due_ms for time_ms in times)
        found[at_ms, target] = happened if target == 0 else not happened
    return found
