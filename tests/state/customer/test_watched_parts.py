"""What is watched for rules that ask about the population, against the same conditions as segments of their own."""

from random import Random

import pytest
from customer_runs import NOW_MS, PATIENT, SIMILAR, key_and_time
from nasty_streams import SPICES, nasty_stream

from schemas.settings import DAY_MS, HOUR_MS
from state.customer.customer import Customer
from state.customer.logic import CustomerLogic
from state.local import LocalRun
from state.rules.ruleset import parse_rules

OWN = """
[segments.active]
description = "d"
when = "views_7d >= 1"

[segments.settled]
description = "d"
when = "sessions_30d >= 2"
minimum_stay = "3d"
"""
ASKING = parse_rules(
    OWN
    + """
[segments.rich]
description = "d"
when = 'orders_30d >= 1 and segment("active") and revenue_total_cents > percentile(revenue_total_cents, 80)'

[segments.keen]
description = "d"
enter = "engagement >= 2 and quartile(engagement) == 4"
leave = "since_last_seen_ms > days(7) or quartile(engagement) <= 2 or engagement < 0.5"

[segments.top]
description = "d"
when = 'segment("rich") and (present(cart_abandoned_at_ms) or recency_ms > days(10))'

[segments.loose]
description = "d"
when = 'not (views_30d < 3 and sessions_7d == 0) or rfm_monetary == 5 or segment("settled")'
"""
)
PARTS = (
    'orders_30d >= 1 and segment("active")',
    "engagement >= 2",
    "since_last_seen_ms > days(7) or engagement < 0.5",
    "present(cart_abandoned_at_ms) or recency_ms > days(10)",
    'not (views_30d < 3 and sessions_7d == 0) or segment("settled")',
)
PLAIN = parse_rules(
    OWN + "".join(f"[segments.part-{n}]\ndescription = 'd'\nwhen = '''{part}'''\n" for n, part in enumerate(PARTS))
)

TICK = b'{"event_id":"tick-%d","type":"product_viewed","product_id":"p","customer_id":"tick","timestamp":%d}'
"""An event of somebody else, with whom time goes on."""


class Twins:
    """One stream through both; after every step both know the same."""

    def __init__(self, cached: int) -> None:
        options = {"cached_customers": cached, "now_ms": lambda: NOW_MS}
        self.asking = LocalRun(CustomerLogic(PATIENT, ASKING, SIMILAR, watching=True, **options), 5_000)
        self.plain = LocalRun(CustomerLogic(PATIENT, PLAIN, SIMILAR, **options), 5_000)
        self.held = 0

    def feed(self, line: bytes) -> None:
        known = key_and_time(line)
        assert known is not None
        for local in (self.asking, self.plain):
            local.feed(*known, b"file:1\x1f" + line)
        self.compare()

    def compare(self) -> None:
        for key in self.plain.stores:
            asking, plain = (self.customer(local, key) for local in (self.asking, self.plain))
            own = len(ASKING.names)
            assert asking.membership.since() == [one for one in plain.membership.since() if "part" not in one[0]]
            assert asking.parts == plain.membership.mask >> own, (key, asking.fold.clock_ms)
            self.held += bool(asking.parts)

    def customer(self, local: LocalRun, key: str) -> Customer:
        return local.logic._customer(key, local.stores[key], comes=False)


class TestParts:
    """Truths are as exact as memberships, to the millisecond."""

    def test_what_is_cut_out(self) -> None:
        """The parts are the conditions that stand beside the population's."""
        trees = [one.enter.tree for one in PLAIN.segments if one.name.startswith("part-")]
        assert list(ASKING.remainder.parts) == trees
        assert ASKING.names == ("active", "settled")

    @pytest.mark.parametrize("cached", [0, 1_000])
    @pytest.mark.parametrize("spice", SPICES)
    def test_as_segments_would_be(self, spice: str, cached: int) -> None:
        """After each event, in whatever order they come, and as time passes; from memory, and read again each time."""
        held = 0
        for seed in range(3):
            random = Random(f"{spice} {seed}")
            twins = Twins(cached)
            lines = nasty_stream(random, 40, SPICES[spice])
            for line in lines:
                twins.feed(line)
            last_ms = max(known[1] for line in lines if (known := key_and_time(line)))
            for ahead_ms in sorted(random.choice((HOUR_MS, DAY_MS)) * random.randint(0, 40) for _ in range(20)):
                twins.feed(TICK % (ahead_ms, last_ms + ahead_ms))
            held += twins.held
        assert held

    def test_nothing_is_watched_unasked(self) -> None:
        """Without `watching` no part is worked out, and rules read nothing more than they need."""
        local = LocalRun(CustomerLogic(PATIENT, ASKING, SIMILAR, now_ms=lambda: NOW_MS), 5_000)
        for line in nasty_stream(Random(1), 40, SPICES["busy"]):
            known = key_and_time(line)
            assert known is not None
            local.feed(*known, b"file:1\x1f" + line)
        customers = [local.logic._customer(key, store, comes=False) for key, store in local.stores.items()]
        assert [customer.parts for customer in customers] == [0] * len(customers)
        assert {len(customer.after) for customer in customers} == {len(ASKING.reads)}
