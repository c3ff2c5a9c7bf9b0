"""What customers tell the population: added up, in whatever groups, it is what is true of them."""

from collections import defaultdict
from random import Random
from typing import Any

import msgpack
import pytest

from state.customer.counts import NEVER_MS
from state.local import DictStore
from state.packing import pack
from state.population.cluster_settings import ClusterSettings
from state.population.contributions import FeatureSketches, contribute
from state.population.gather import Gathered, gathered, merged
from state.population.labels import HORIZONS_MS, Example
from state.population.refusal import PopulationError
from state.population.sample import customer_hash
from state.population.snapshots import Message, SnapshotLogic, SnapshotSettings
from state.population.standing import Standing

MINUTE_MS, DAY_MS = 60_000, 86_400_000
START_MS = 1_750_000_000_000
FEATURES = ("engagement", "orders_total", "recency_ms", "revenue_total_cents")
CLUSTERS = ClusterSettings()
SETTINGS = SnapshotSettings(CLUSTERS.scaling.axes, MINUTE_MS, 1_000)


class Shop:
    """Customers who say what they are, timers as Flink fires them, and all that is told."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        self.logic = SnapshotLogic(SETTINGS, FEATURES)
        self.stores: dict[str, DictStore] = defaultdict(DictStore)
        self.timers: dict[str, set[int]] = defaultdict(set)
        self.values: dict[str, tuple[int, dict[str, Any]]] = {}
        """Of those who are shown: as of when, and features."""
        self.messages: list[Message] = []
        self.now_ms = START_MS

    def say(self, key: str, *, shown: bool = True) -> None:
        random = self.random
        values: dict[str, Any] = {
            "engagement": random.choice((0.0, 0.7, 3.0)),
            "orders_total": random.randint(0, 4),
            "revenue_total_cents": random.choice((0, 1_000, 2_500)),
            "first_seen_ms": START_MS - DAY_MS,
            "last_seen_ms": self.now_ms,
            "since_last_seen_ms": 0,
        }
        if random.random() < 0.7:
            values["recency_ms"] = random.choice((0, DAY_MS, 50 * DAY_MS))
        features = msgpack.packb(values) if shown else b""
        cause: Any = ("event", "e")
        standing = Standing(self.now_ms, 1, "v", shown, False, 0, cause, features, {}, [])
        if shown:
            self.values[key] = self.now_ms, values
        else:
            self.values.pop(key, None)
        self.take(key, *self.logic.on_standing(key, standing, self.now_ms, self.stores[key]))

    def pass_time(self, until_ms: int) -> None:
        while due := [(at_ms, key) for key, times in self.timers.items() for at_ms in times if at_ms <= until_ms]:
            at_ms, key = min(due)
            self.timers[key].discard(at_ms)
            self.take(key, *self.logic.on_timer(key, at_ms, at_ms, self.stores[key]))
        self.now_ms = until_ms

    def take(self, key: str, wake_ms: int | None, message: Message | None) -> None:
        if wake_ms is not None:
            self.timers[key].add(wake_ms)
        if message is not None:
            assert Message.unpacked(message.packed()) == message
            self.messages.append(message)


def counted(messages: list[Message], random: Random) -> FeatureSketches:
    """Added up in random groups."""
    sketches, rest = FeatureSketches(), messages[:]
    while rest:
        count = random.randint(1, len(rest))
        group, rest = rest[:count], rest[count:]
        places = [[one for one in group if customer_hash(one.customer_id) % 3 == place] for place in range(3)]
        whole = merged([gathered(CLUSTERS, messages) for messages in places])
        assert whole.packed() == gathered(CLUSTERS, random.sample(group, len(group))).packed()
        assert Gathered.unpacked(CLUSTERS, whole.packed()).packed() == whole.packed()
        sketches.apply(whole.deltas)
    return sketches


def naive(values: dict[str, tuple[int, dict[str, Any]]]) -> FeatureSketches:
    """Everybody counted once, from nothing."""
    sketches = FeatureSketches()
    for at_ms, one in values.values():
        sketches.apply(contribute(None, one, at_ms, FEATURES)[0])
    return sketches


class TestCounts:
    """Sketches of all that was told are those of what is so."""

    @pytest.mark.parametrize("seed", range(20))
    def test_an_interval_later(self, seed: int) -> None:
        """However often a customer speaks, leaves and comes again."""
        shop = Shop(seed)
        for _ in range(120):
            shop.pass_time(shop.now_ms + shop.random.choice((0, 1, 5_000, MINUTE_MS, 3 * MINUTE_MS, DAY_MS)))
            shop.say(shop.random.choice("abcde"), shown=shop.random.random() > 0.1)
        shop.pass_time(shop.now_ms + MINUTE_MS)
        assert counted(shop.messages, shop.random).packed() == naive(shop.values).packed()

    def test_once_in_an_interval(self) -> None:
        """The busy are told no more often than the others, and what was skipped is told when the interval is over."""
        shop = Shop(1)
        shop.now_ms -= shop.now_ms % MINUTE_MS
        for second in range(30):
            shop.pass_time(START_MS - START_MS % MINUTE_MS + second * 1_000)
            shop.say("a")
        assert len(shop.messages) == 1
        shop.pass_time(shop.now_ms + MINUTE_MS)
        assert [one.as_of_ms for one in shop.messages] == [shop.now_ms - MINUTE_MS - 29_000, shop.now_ms - MINUTE_MS]
        shop.pass_time(shop.now_ms + DAY_MS)
        assert len(shop.messages) == 2

    def test_who_is_hidden_leaves_nothing(self) -> None:
        """Neither in the counts, nor in the state, nor in the sample of the interval."""
        shop = Shop(2)
        for key in "ab":
            shop.say(key)
        shop.say("a", shown=False)
        assert shop.stores["a"].packed is None
        told = gathered(CLUSTERS, shop.messages)
        assert told.gone == ("a",)
        assert told.intake.snapshots == 1
        assert [hashed for hashed, _ in told.intake.sample.by_hash()] == [customer_hash("b")]
        sketches = FeatureSketches()
        sketches.apply(told.deltas)
        assert sketches.packed() == naive(shop.values).packed()


class TestExamples:
    """Outcomes come when they are due, although the customer says nothing."""

    def test_nobody_comes_again(self) -> None:
        """One who bought and was seen no more: no order in 7 days, lapsed in 30; late by what profiles may be."""
        shop = Shop(3)
        shop.say("a")
        values = shop.values["a"][1]
        shop.pass_time(START_MS + 40 * DAY_MS)
        told = [Example.unpacked(one) for message in shop.messages for one in message.examples]
        expected = [(0, False)] + [(1, True)] * bool(values["orders_total"])
        assert [(one.target, one.positive) for one in told] == expected
        due = [START_MS + HORIZONS_MS[target] + 1_001 for target, _ in expected]
        assert [message.as_of_ms for message in shop.messages if message.examples] == due


class TestPacked:
    """Versions."""

    def test_newer_bytes_are_refused(self) -> None:
        """With a word about it."""
        with pytest.raises(PopulationError, match="version 99"):
            Message.unpacked(pack([99, "a", 1, 2]))
        shop = Shop(4)
        shop.stores["a"].save(pack([99, None]))
        with pytest.raises(PopulationError, match="version 99"):
            shop.say("a")


class TestTheEnd:
    """Of a bounded run, which is at the end of all times."""

    def test_what_nobody_saw_is_no_outcome(self) -> None:
        """An outcome that was not due by the as-of time is not known; one that was, is."""
        for days, expected in ((1, []), (8, [0]), (31, [0, 1])):
            shop = Shop(3)
            shop.logic = SnapshotLogic(SETTINGS._replace(as_of_ms=START_MS + days * DAY_MS), FEATURES)
            while not shop.values.get("a", (0, {}))[1].get("orders_total"):
                shop.say("a")
            shop.messages.clear()
            _, message = shop.logic.on_timer("a", NEVER_MS, NEVER_MS, shop.stores["a"])
            examples = () if message is None else message.examples
            assert [Example.unpacked(one).target for one in examples] == expected
            assert message is None or message.as_of_ms == START_MS + days * DAY_MS

    def test_who_is_in_the_sample_alone_leaves_it(self) -> None:
        """Nothing was counted of the customer, but that they were there was told."""
        shop = Shop(4)
        shop.logic.count(())
        shop.say("a")
        shop.say("a", shown=False)
        assert gathered(CLUSTERS, shop.messages).gone == ("a",)
        shop.say("b", shown=False)
        assert [one.customer_id for one in shop.messages] == ["a", "a"]
