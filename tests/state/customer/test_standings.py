"""Standings of customers, and what is made of them where the population is known, or is not known yet."""

import json
from collections.abc import Iterable
from random import Random
from typing import Any

import pytest
from customer_runs import NOW_MS, PATIENT, SIMILAR, key_and_time
from nasty_streams import SPICES, nasty_stream
from test_watched_parts import ASKING, TICK
from whole_runs import Redis

from schemas.settings import DAY_MS, HOUR_MS
from state.channels import Channel, Output
from state.customer.logic import CustomerLogic
from state.local import DictStore, LocalRun
from state.population.assign import AssignLogic
from state.population.percentiles import Percentiles
from state.population.questions import key_of
from state.population.scales import scale_of
from state.population.standing import Standing
from state.population.view import PopulationView
from state.rules.ruleset import RuleSet, parse_rules


class Job:
    """Customers, and behind them, if they say standings, those who know the population."""

    def __init__(self, cached: int, assign: AssignLogic | None = None, rules: RuleSet = ASKING) -> None:
        watching = assign is not None
        logic = CustomerLogic(
            PATIENT, rules, SIMILAR, cached_customers=cached, now_ms=lambda: NOW_MS, watching=watching
        )
        self.local, self.assign = LocalRun(logic, 5_000), assign
        self.stores: dict[str, DictStore] = {}
        self.redis = Redis()
        self.memberships: dict[str, Any] = {}
        self.asked: dict[str, Any] = {}
        """Memberships in segments that ask about the population."""
        self.changes: list[tuple[str, Any]] = []
        self.parts: dict[str, int] = {}
        self.take(self.local.start())

    def feed(self, line: bytes) -> None:
        known = key_and_time(line)
        assert known is not None
        self.take(self.local.feed(*known, b"file:1\x1f" + line))

    def publish(self) -> None:
        """Have everything written as of now."""
        self.take(self.local.control(b'control:0:1\x1f{"control_id": "now", "kind": "publish"}'))
        self.take(self.local.feed("", self.local.watermark_ms + HOUR_MS, b"nobody\x1f{}"))

    def view(self, view: PopulationView) -> None:
        assert self.assign is not None
        self.assign.on_view(view.packed())
        for key, store in self.stores.items():
            self.take(self.assign.on_timer(key, view.at_ms, view.at_ms, store)[1], self.asked)

    def take(self, outputs: Iterable[Output], memberships: dict[str, Any] | None = None) -> None:
        members = self.memberships if memberships is None else memberships
        for channel, key, payload in outputs:
            if channel == Channel.REDIS:
                self.redis.apply(payload)
            elif channel == Channel.MEMBERSHIPS:
                members[key] = json.loads(payload)["segments"] if payload else {}
            elif channel == Channel.SEGMENT_CHANGE:
                self.changes.append((key, json.loads(payload)))
            elif channel == Channel.STANDING:
                assert self.assign is not None
                self.parts[key] = Standing.unpacked(payload).parts
                store = self.stores.setdefault(key, DictStore())
                self.take(self.assign.on_standing(key, payload, self.local.watermark_ms, store)[1], self.asked)

    def shown(self) -> dict[str, Any]:
        found = self.redis.left()
        return {"profiles": found["profiles"], "members": found["members"], "memberships": self.memberships}


def said(job: Job) -> list[tuple[str, Any]]:
    """All changes; without the values before, which are those of the last look, and parts are a reason to look."""
    return [(key, {name: value for name, value in change.items() if name != "why"}) for key, change in job.changes]


def stream(random: Random, spice: str) -> list[bytes]:
    """Odd events, and then time that goes on with somebody else's."""
    lines = nasty_stream(random, 40, SPICES[spice])
    last_ms = max(known[1] for line in lines if (known := key_and_time(line)))
    ahead = sorted({random.choice((HOUR_MS, DAY_MS)) * random.randint(0, 40) for _ in range(15)})
    return [*lines, *(TICK % (ahead_ms, last_ms + ahead_ms) for ahead_ms in ahead)]


class TestWithoutAView:
    """Profiles, sorted sets, memberships and changes are those of a job that knows no standings."""

    @pytest.mark.parametrize("cached", [0, 1_000])
    @pytest.mark.parametrize("spice", SPICES)
    def test_the_same_is_shown(self, spice: str, cached: int) -> None:
        """After every event."""
        for seed in range(3):
            plain, asking = Job(cached), Job(cached, AssignLogic(ASKING.remainder))
            for line in stream(Random(f"{spice} {seed}"), spice):
                plain.feed(line)
                asking.feed(line)
                mine, theirs = asking.shown(), plain.shown()
                assert mine["members"] == theirs["members"]
                assert mine["memberships"] == theirs["memberships"]
                assert mine["profiles"].keys() == theirs["profiles"].keys()
            assert said(asking) == said(plain)
            for job in (plain, asking):  # a part that turns is a reason to look: profiles may come at other times
                job.publish()
            assert asking.shown() == plain.shown()
            assert not any(asking.asked.values())


class TestParts:
    """What is known where the population is."""

    @pytest.mark.parametrize("cached", [0, 1_000])
    @pytest.mark.parametrize("spice", SPICES)
    def test_every_turn_of_a_part_is_said(self, spice: str, cached: int) -> None:
        """Whenever nothing is under way, the last standing has the parts that the customer has."""
        seen = set()
        for seed in range(3):
            job = Job(cached, AssignLogic(ASKING.remainder))
            for line in stream(Random(f"{spice} {seed}"), spice):
                job.feed(line)
                for key, store in job.local.stores.items():
                    customer = job.local.logic._customer(key, store, comes=False)
                    if not customer.pending:
                        assert job.parts.get(key, 0) == customer.parts
                        seen.add(customer.parts)
        assert len(seen) > 1


class TestWithAView:
    """Segments that ask about the population come to the others, and go with them."""

    def test_both_in_one_place(self) -> None:
        """The sorted sets and the profile have both kinds, and each kind has its compacted memberships."""
        job = Job(1_000, AssignLogic(ASKING.remainder))
        least = {
            (feature, positive): Percentiles(
                feature=feature, count=5, buckets=(scale_of(feature).bucket(0, 0),) * 99, positive=positive
            )
            for feature, positive in map(key_of, ASKING.remainder.asks)
        }
        view = PopulationView(1, 1, least, None)
        job.view(view)
        for line in stream(Random(3), "busy"):
            job.feed(line)
        shown = job.shown()
        for rules, memberships in ((ASKING, job.memberships), (ASKING.remainder, job.asked)):
            assert set() < {name for since in memberships.values() for name in since} <= set(rules.names)
        both = {key: {**since, **job.asked.get(key, {})} for key, since in job.memberships.items()}
        assert job.asked.keys() <= both.keys()
        for key, since in both.items():
            profile = shown["profiles"].get(key, {"segments": {}})
            assert profile["segments"] == since
            assert {name for name, members in shown["members"].items() if key in members} == set(since)
        members: dict[tuple[str, str], int] = {}
        for key, change in job.changes:
            if change["change"] == "entered":
                members[key, change["segment"]] = change["since_ms"]
            else:
                members.pop((key, change["segment"]), None)
        assert members == {(key, name): at for key, since in both.items() for name, at in since.items()}


class TestSegmentsThatChangeTheirKind:
    """A segment that asks about the population, and under other rules of the same name does not, or the other way."""

    ASKS = "[segments.s]\ndescription = 'd'\nwhen = 'revenue_total_cents > percentile(revenue_total_cents, 50)'\n"
    OWN = "[segments.s]\ndescription = 'd'\nwhen = 'orders_total >= %d'\n"

    @pytest.mark.parametrize("orders", [1, 5])
    def test_the_sorted_set_is_right(self, orders: int) -> None:
        """Whether the customer is in it by the other rules or not, and again by the first ones."""
        before, after = parse_rules(self.ASKS), parse_rules(self.OWN % orders)
        job = Job(1_000, AssignLogic(before.remainder), before)
        spend = "revenue_total_cents"
        nought = scale_of(spend).bucket(0, 0)
        percentiles = {(spend, False): Percentiles(feature=spend, count=5, buckets=(nought,) * 99, positive=False)}
        at_ms = 1_750_000_000_000
        order = {"type": "order_completed", "order_id": "o", "customer_id": "c", "event_id": "o", "timestamp": at_ms}
        job.feed(json.dumps(order | {"products": [{"product_id": "p", "quantity": 1, "price": 9}]}).encode())
        job.view(PopulationView(1, at_ms, percentiles, None))
        assert "c" in job.redis.left()["members"].get("s", {})
        for number, (rules, there) in enumerate([(after, orders == 1), (before, True), (after, orders == 1)]):
            assert job.assign is not None
            job.assign.learn_rules(rules.remainder)
            record = {"control_id": str(number), "kind": "rules", "rules": rules.text}
            job.take(job.local.control(b"control:0:1\x1f" + json.dumps(record).encode()))
            job.feed(TICK % (number, at_ms + (number + 1) * DAY_MS))
            assert ("c" in job.redis.left()["members"].get("s", {})) is there


class TestTurnedOn:
    """A job that had no population goes on with one, and the other way round."""

    def again(self, job: Job, assign: AssignLogic | None) -> None:
        """Restarted with the state that it left; a restarted job has no watermark for a moment."""
        logic = CustomerLogic(PATIENT, ASKING, SIMILAR, now_ms=lambda: NOW_MS, watching=assign is not None)
        job.local.logic, job.assign = logic, assign
        now_ms, job.local.watermark_ms = job.local.watermark_ms, -1
        job.take(job.local.start())
        job.local.watermark_ms = now_ms

    @pytest.mark.parametrize("spice", SPICES)
    def test_everybody_is_said(self, spice: str) -> None:
        """At once, although nobody's facts change; and every turn of a part from then on."""
        lines = stream(Random(f"on {spice}"), spice)
        job, plain = Job(1_000), Job(1_000)
        for line in lines[:30]:
            job.feed(line)
            plain.feed(line)
        for with_population in (True, True, False, True):
            job.parts.clear()
            self.again(job, AssignLogic(ASKING.remainder) if with_population else None)
            tick = TICK % (0, job.local.watermark_ms + 5_001)
            job.feed(tick)
            plain.feed(tick)
        for line in lines[30:]:
            shown = {key for key, profile in job.shown()["profiles"].items() if profile is not None}
            assert shown <= job.parts.keys() | {"tick"}
            for key, store in job.local.stores.items():
                customer = job.local.logic._customer(key, store, comes=False)
                if key in job.parts and not customer.pending:
                    assert job.parts[key] == customer.parts
            job.feed(line)
            plain.feed(line)
        assert job.shown()["memberships"] == plain.shown()["memberships"]
        names = ("segment", "change", "at_ms", "since_ms")
        mine, theirs = ([(key, *(one[name] for name in names)) for key, one in said(one)] for one in (job, plain))
        assert mine == theirs

    def test_once(self) -> None:
        """A restart with the same settings wakes nobody."""
        job = Job(1_000, AssignLogic(ASKING.remainder))
        for line in stream(Random(1), "busy")[:30]:
            job.feed(line)
        self.again(job, job.assign)
        logic = CustomerLogic(PATIENT, ASKING, SIMILAR, now_ms=lambda: NOW_MS, watching=True)
        assert logic.on_start(job.local.view, 5)[0] is None
        logic = CustomerLogic(PATIENT, ASKING, SIMILAR, now_ms=lambda: NOW_MS)
        assert logic.on_start(job.local.view, 5)[0] == 6
        logic = CustomerLogic(PATIENT, ASKING, SIMILAR, now_ms=lambda: NOW_MS)
        assert logic.on_start(job.local.view, 5)[0] is None
