"""What customers tell the population: added up, in whatever groups, it is what is true of them."""

from collections import Counter, defaultdict
from itertools import pairwise
from random import Random
from typing import Any

import pytest

from state.customer.counts import NEVER_MS
from state.customer.fold import ENGAGEMENT_HALF_LIFE_MS
from state.local import DictStore
from state.packing import pack
from state.population.cluster_settings import ClusterSettings
from state.population.contributions import FeatureSketches, contribute
from state.population.gather import Gathered, gathered, merged
from state.population.labels import HORIZONS_MS, Example
from state.population.refusal import PopulationError, unpack_versioned
from state.population.sample import customer_hash
from state.population.sight import Sight
from state.population.snapshots import Message, SnapshotLogic, SnapshotSettings
from state.population.standing import Standing

MINUTE_MS, HOUR_MS, DAY_MS = 60_000, 3_600_000, 86_400_000
GAP_MS = 30 * MINUTE_MS
START_MS = 1_750_000_020_000
"""A minute begins."""
FEATURES = ("engagement", "orders_total", "recency_ms", "revenue_total_cents")
CLUSTERS = ClusterSettings()
SETTINGS = SnapshotSettings(CLUSTERS.scaling.axes, MINUTE_MS, GAP_MS)


class Shop:
    """Customers of whom there is news, timers as Flink fires them, and all that is told."""

    def __init__(self, seed: int, settings: SnapshotSettings = SETTINGS) -> None:
        self.random = Random(seed)
        self.logic = SnapshotLogic(settings, FEATURES)
        self.stores: dict[str, DictStore] = defaultdict(DictStore)
        self.timers: dict[str, set[int]] = defaultdict(set)
        self.values: dict[str, tuple[int, dict[str, Any]]] = {}
        """Of those who are shown: as of when, and features."""
        self.revisions: dict[str, int] = defaultdict(int)
        self.messages: list[Message] = []
        self.standings: list[Standing] = []
        self.now_ms = START_MS
        self.looks = 0

    def news(self, key: str, *, shown: bool = True, cart: bool = False) -> None:
        random = self.random
        values: dict[str, Any] = {
            "engagement": random.choice((0.0, 0.7, 3.0)),
            "orders_total": random.randint(0, 4),
            "revenue_total_cents": random.choice((0, 1_000, 2_500)),
            "first_seen_ms": START_MS - DAY_MS,
            "last_seen_ms": self.now_ms,
            "since_last_seen_ms": 0,
            "cart_open": cart,
        }
        if random.random() < 0.7:
            values["recency_ms"] = random.choice((0, DAY_MS, 50 * DAY_MS))
        if shown:
            self.values[key] = self.now_ms, values
        else:
            self.values.pop(key, None)
        self.revisions[key] += 1
        look_ms = self.logic.look_ms(key, self.now_ms, self.now_ms)
        if look_ms is not None:
            self.logic.note(look_ms, self.stores[key])
            self.timers[key].add(look_ms)

    def sight(self, key: str, at_ms: int) -> Sight:
        """As of then: what ages has aged."""
        self.looks += 1
        if key not in self.values:
            return Sight(at_ms, self.revisions[key], None)
        said_ms, values = self.values[key]
        passed_ms = at_ms - said_ms
        older = {name: values[name] + passed_ms for name in ("recency_ms", "since_last_seen_ms") if name in values}
        faded = values["engagement"] * 0.5 ** (passed_ms / ENGAGEMENT_HALF_LIFE_MS)
        return Sight(at_ms, self.revisions[key], {**values, **older, "engagement": faded})

    def pass_time(self, until_ms: int) -> None:
        while due := [(at_ms, key) for key, times in self.timers.items() for at_ms in times if at_ms <= until_ms]:
            at_ms, key = min(due)
            self.timers[key].discard(at_ms)
            assert self.logic.is_time(at_ms)
            self.look(key, at_ms)
        self.now_ms = until_ms

    def look(self, key: str, at_ms: int, *, closing: bool = False) -> None:
        ends_ms = self.logic._settings.as_of_ms
        as_of_ms = at_ms if ends_ms is None else min(at_ms, ends_ms)
        look = self.logic.on_time(key, at_ms, self.stores[key], lambda: self.sight(key, as_of_ms), closing=closing)
        if look.next_ms is not None:
            assert look.next_ms > at_ms
            self.timers[key].add(look.next_ms)
        if look.message is not None:
            assert Message.unpacked(look.message.packed()) == look.message
            self.messages.append(look.message)
            assert (look.standing is None) is (closing or look.message.gone)
        if look.standing is not None:
            assert look.message is not None
            assert Standing.unpacked(look.standing.packed()) == look.standing
            assert look.standing.as_of_ms == look.message.as_of_ms
            self.standings.append(look.standing)


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


class TestIntervals:
    @pytest.mark.parametrize("spread", [False, True])
    def test_what_a_look_covers(self, spread: bool) -> None:
        """Whether news of a time asks for a look before another one is told without the customer's own interval."""
        random, logic = Random(1), SnapshotLogic(SETTINGS._replace(spread=spread, interval_ms=10 * MINUTE_MS), ())
        covered = set()
        for number in range(300):
            key, now_ms = f"c{number % 7}", START_MS + random.randrange(HOUR_MS)
            look_ms, news_ms = logic.look_ms(key, now_ms, now_ms), now_ms + random.randrange(-HOUR_MS, HOUR_MS)
            other_ms = logic.look_ms(key, news_ms, 0)
            assert look_ms is not None
            assert other_ms is not None
            covered.add(logic.is_in(look_ms, news_ms))
            assert logic.is_in(look_ms, news_ms) is (other_ms >= look_ms)
        assert covered == {False, True}


class TestCounts:
    """Sketches of all that was told are those of what is so."""

    @pytest.mark.parametrize("spread", [False, True])
    @pytest.mark.parametrize("seed", range(20))
    def test_an_interval_later(self, seed: int, spread: bool) -> None:
        """However often there is news of a customer, and whether they leave and come again."""
        shop = Shop(seed, SETTINGS._replace(spread=spread))
        for _ in range(120):
            shop.pass_time(shop.now_ms + shop.random.choice((0, 1, 5_000, MINUTE_MS, 3 * MINUTE_MS, DAY_MS)))
            shop.news(shop.random.choice("abcde"), shown=shop.random.random() > 0.1)
        shop.pass_time(shop.now_ms + MINUTE_MS)
        assert counted(shop.messages, shop.random).packed() == naive(shop.values).packed()

    def test_once_in_an_interval(self) -> None:
        """The busy are told no more often than the others, as of the end of the interval; not as the session ends."""
        shop = Shop(1)
        for second in range(30):
            shop.pass_time(START_MS + second * 1_000)
            shop.news("a")
        assert shop.messages == []
        shop.pass_time(START_MS + MINUTE_MS)
        assert [one.as_of_ms for one in shop.messages] == [START_MS + MINUTE_MS - 1]
        shop.pass_time(START_MS + DAY_MS)
        assert len(shop.messages) == 1

    def test_not_all_at_once(self) -> None:
        """Of 600 who do something all the time few are looked at in one second, and nobody twice in an interval."""
        shop = Shop(1, SETTINGS._replace(interval_ms=10 * MINUTE_MS, spread=True))
        for minute in range(60):
            shop.pass_time(START_MS + minute * MINUTE_MS)
            for number in range(600):
                shop.news(f"c{number}")
        shop.pass_time(START_MS + 2 * HOUR_MS)
        times: dict[str, list[int]] = defaultdict(list)
        for message in shop.messages:
            times[message.customer_id].append(message.as_of_ms)
        assert {len(told) for told in times.values()} <= {6, 7}
        assert {after - before for told in times.values() for before, after in pairwise(told)} == {10 * MINUTE_MS}
        at_once = Counter(told[1] for told in times.values())
        assert len(at_once) > 300
        assert max(at_once.values()) <= 8

    def test_what_waited_as_looks_were_not_spread(self) -> None:
        """A job goes on from a state of before: what was asked for is done at its time."""
        shop = Shop(1)
        shop.news("a")
        shop.logic = SnapshotLogic(SETTINGS._replace(spread=True), FEATURES)
        shop.pass_time(START_MS + HOUR_MS)
        assert [one.as_of_ms for one in shop.messages] == [START_MS + MINUTE_MS - 1]

    def test_a_cart_that_is_left(self) -> None:
        """As the session ends, nothing else is new, but the cart counts as abandoned from then on."""
        shop = Shop(1)
        shop.news("a", cart=True)
        shop.pass_time(START_MS + 10 * MINUTE_MS)
        shop.news("a", cart=True)
        shop.pass_time(START_MS + DAY_MS)
        seen_ms = START_MS + 10 * MINUTE_MS
        told = [START_MS + MINUTE_MS - 1, seen_ms + MINUTE_MS - 1, seen_ms + GAP_MS + MINUTE_MS - 1]
        assert [one.as_of_ms for one in shop.messages] == told
        assert [one.cause for one in shop.standings] == [("event", None), ("event", None), ("time", None)]

    @pytest.mark.parametrize(("watched", "days"), [((), [7, 30, 90]), (("views_14d", "orders_1d"), [1, 7, 14, 30, 90])])
    def test_who_stays_away(self, watched: tuple[str, ...], days: list[int]) -> None:
        """Is told of after 7, 30 and 90 days, and as windows that are counted empty; then nothing more is to come."""
        shop = Shop(1, SETTINGS._replace(watched=watched))
        shop.news("a")
        shop.pass_time(START_MS + 400 * DAY_MS)
        told = [one.as_of_ms - START_MS for one in shop.messages if one.point is not None]
        assert [at_ms // DAY_MS for at_ms in told] == [0, *days]
        assert all(one.as_of_ms % MINUTE_MS == MINUTE_MS - 1 for one in shop.messages)
        assert not any(shop.timers.values())

    @pytest.mark.parametrize("interval_ms", [MINUTE_MS, 90_000, 10 * MINUTE_MS, DAY_MS])
    def test_another_interval(self, interval_ms: int) -> None:
        """What was asked for with the interval before is done, and what comes of it."""
        shop = Shop(1, SETTINGS._replace(interval_ms=5 * MINUTE_MS))
        shop.news("a")
        shop.news("b")
        shop.pass_time(START_MS + HOUR_MS)
        shop.news("b")
        shop.logic = SnapshotLogic(SETTINGS._replace(interval_ms=interval_ms), FEATURES)
        shop.pass_time(START_MS + 400 * DAY_MS)
        for key in "ab":
            told = [one.as_of_ms for one in shop.messages if one.customer_id == key and one.point is not None]
            assert {(at_ms - START_MS) // DAY_MS for at_ms in told} >= {0, 7, 30, 90}
        assert not any(shop.timers.values())

    def test_a_look_for_nothing_asks_nobody(self) -> None:
        """A timer that was set before newer facts were told does not have the customer made up again."""
        shop = Shop(1)
        shop.news("a")
        shop.pass_time(START_MS + DAY_MS)
        shop.news("a")
        shop.pass_time(START_MS + DAY_MS + MINUTE_MS)
        assert shop.looks == len(shop.messages) == 2
        shop.pass_time(START_MS + 7 * DAY_MS + MINUTE_MS)  # of the first visit, which was not the last
        assert shop.looks == 2
        shop.pass_time(START_MS + 8 * DAY_MS + MINUTE_MS)
        assert shop.looks == len(shop.messages) == 3

    def test_who_comes_often_has_few_timers(self) -> None:
        """However many visits: one for the interval, one for being away; and then all looks of who stays away."""
        shop = Shop(7)
        for _ in range(500):
            shop.pass_time(shop.now_ms + 20 * MINUTE_MS)
            shop.news("a", cart=shop.random.random() < 0.2)
            assert len(shop.timers["a"]) <= 3
        last_ms = shop.now_ms
        shop.messages.clear()
        shop.pass_time(last_ms + 400 * DAY_MS)
        told = [(one.as_of_ms - last_ms) // DAY_MS for one in shop.messages if one.point is not None]
        assert [days for days in told if days] == [7, 30, 90]
        assert not any(shop.timers.values())

    def test_who_is_hidden_leaves_nothing(self) -> None:
        """Neither in the counts, nor in the state, nor in the sample of the interval."""
        shop = Shop(2)
        for key in "ab":
            shop.news(key)
        shop.pass_time(START_MS + MINUTE_MS)
        shop.news("a", shown=False)
        shop.pass_time(START_MS + 2 * MINUTE_MS)
        assert shop.stores["a"].packed is None
        told = gathered(CLUSTERS, shop.messages)
        assert told.gone == ("a",)
        assert told.intake.snapshots == 1
        assert [hashed for hashed, _ in told.intake.sample.by_hash()] == [customer_hash("b")]
        sketches = FeatureSketches()
        sketches.apply(told.deltas)
        assert sketches.packed() == naive(shop.values).packed()


class TestExamples:
    """Outcomes come with the next look after they are due, although nothing happens to the customer."""

    @pytest.mark.parametrize("orders", [0, 1])
    def test_nobody_comes_again(self, orders: int) -> None:
        """One who bought and was seen no more: no order in 7 days, lapsed in 30. None is without its answer."""
        shop = Shop(3)
        shop.news("a")
        shop.values["a"][1]["orders_total"] = orders
        shop.pass_time(START_MS + 400 * DAY_MS)
        told = [(message.as_of_ms, Example.unpacked(one)) for message in shop.messages for one in message.examples]
        asked = [message.as_of_ms for message in shop.messages[:-1]]  # nobody is asked of who is away for 90 days
        assert [one.as_of_ms for _, one in told if one.target == 0] == asked
        assert [one.as_of_ms for _, one in told if one.target == 1] == asked[:2] * orders
        assert all(one.positive is bool(one.target) for _, one in told)
        assert all(at_ms >= one.as_of_ms + HORIZONS_MS[one.target] for at_ms, one in told)
        assert {(at_ms - START_MS) // DAY_MS for at_ms, _ in told} == {7, 30, 90}

    def test_who_comes_long_after(self) -> None:
        """Has not bought in the meantime: that is known, however many orders there are now."""
        shop = Shop(6)
        shop.news("a")
        shop.values["a"][1].pop("recency_ms", None)
        shop.pass_time(START_MS + MINUTE_MS)
        shop.pass_time(START_MS + 20 * DAY_MS)
        shop.news("a")
        shop.values["a"][1]["recency_ms"] = 0
        shop.pass_time(START_MS + 21 * DAY_MS)
        told = [Example.unpacked(one) for message in shop.messages for one in message.examples]
        assert [(one.as_of_ms // DAY_MS - START_MS // DAY_MS, one.positive) for one in told] == [(0, False), (7, False)]
        assert not any(message.given_up for message in shop.messages)


class TestPacked:
    """Versions."""

    def test_newer_bytes_are_refused(self) -> None:
        """With a word about it."""
        with pytest.raises(PopulationError, match="version 99"):
            Message.unpacked(pack([99, "a", 1, 2]))
        shop = Shop(4)
        shop.stores["a"].save(pack([99, None]))
        with pytest.raises(PopulationError, match="version 99"):
            shop.news("a")

    def test_version_1(self) -> None:
        """A customer who was told of then is told of with the next look; what was counted is taken out."""
        shop = Shop(5)
        shop.news("a")
        shop.pass_time(START_MS + MINUTE_MS)
        _, contribution, pending, told_ms, *_ = unpack_versioned(shop.stores["a"].load() or b"", 3, "a state")
        held = pack({"engagement": 1.0})  # a standing that was not told yet
        shop.stores["a"].save(pack([1, 2**40, contribution, pending, told_ms, told_ms + 5, held]))
        shop.news("a")
        shop.pass_time(START_MS + 3 * MINUTE_MS)
        assert len(shop.messages) == 2
        assert counted(shop.messages, shop.random).packed() == naive(shop.values).packed()


class TestTheEnd:
    """Of a bounded run, which is at the end of all times."""

    def test_what_nobody_saw_is_no_outcome(self) -> None:
        """An outcome that was not due by the as-of time is not known; one that was, is."""
        for days, expected in ((1, set()), (8, {0}), (31, {0, 1})):
            shop = Shop(3, SETTINGS._replace(as_of_ms=START_MS + days * DAY_MS))
            while not shop.values.get("a", (0, {}))[1].get("orders_total"):
                shop.news("a")
            shop.pass_time(START_MS + 100 * DAY_MS)
            shop.look("a", NEVER_MS, closing=True)
            found = {Example.unpacked(one).target for message in shop.messages for one in message.examples}
            assert found == expected
            assert shop.messages[-1].as_of_ms == START_MS + days * DAY_MS
            assert not any(shop.timers.values())

    def test_what_comes_last_is_told(self) -> None:
        """Although its interval does not end before the run."""
        shop = Shop(3, SETTINGS._replace(as_of_ms=START_MS + 10))
        shop.news("a")
        assert not any(shop.timers.values())
        shop.look("a", NEVER_MS, closing=True)
        assert [one.as_of_ms for one in shop.messages] == [START_MS + 10]

    def test_who_is_in_the_sample_alone_leaves_it(self) -> None:
        """Nothing was counted of the customer, but that they were there was told."""
        shop = Shop(4)
        shop.logic.count(())
        shop.news("a")
        shop.pass_time(START_MS + MINUTE_MS)
        shop.news("a", shown=False)
        shop.news("b", shown=False)
        shop.pass_time(START_MS + 2 * MINUTE_MS)
        assert gathered(CLUSTERS, shop.messages).gone == ("a",)
        assert [one.customer_id for one in shop.messages] == ["a", "a"]
