"""Customers and what they tell the population, in a live job: what is counted is what is so."""

import json
from collections import defaultdict
from functools import partial
from random import Random

import pytest

from schemas.settings import DAY_MS, HOUR_MS, Settings
from state.channels import Channel
from state.customer.logic import PLACE_END, CustomerLogic, KeyedStore, Step
from state.local import DictStore, DictView, LocalRun
from state.population.contributions import Deltas, FeatureSketches
from state.population.questions import counted
from state.population.scales import scale_of
from state.population.settings import PopulationSettings
from state.population.sketch import QuantileSketch
from state.population.snapshots import Message, SnapshotLogic, SnapshotSettings
from state.population.standing import Standing
from state.rules.ruleset import parse_rules
from state.similar.settings import SimilarSettings

START_MS = 1_750_000_020_000
EVERY_MS = 600_000
OWN = "[segments.a]\ndescription = 'For tests.'\nwhen = 'orders_30d >= 1'\n"
ASKING = OWN + "[segments.b]\ndescription = 'For tests.'\nwhen = 'views_30d >= percentile(views_30d, 80)'\n"
SETTINGS = Settings(population={"enabled": True})
AXES = PopulationSettings().clusters.scaling.axes


class Job:
    """The customer operator of a live job with a population, as operators/customer.py binds it."""

    def __init__(self, rules: str = OWN, *, watching: bool = True) -> None:
        self.logic = CustomerLogic(
            SETTINGS, parse_rules(rules), SimilarSettings(), watching=watching, now_ms=lambda: 2_000_000_000_000
        )
        self.as_of_ms, self.book = None, self.logic.book
        self.snapshots = SnapshotLogic(SnapshotSettings(AXES, EVERY_MS, SETTINGS.session_gap_ms), ())
        self.stores: dict[str, DictStore] = defaultdict(DictStore)
        self.messages: list[Message] = []
        self.standings: list[tuple[str, Standing]] = []
        self.own: list[tuple[str, Standing]] = []
        self.number = 0
        self.run = LocalRun(self, SETTINGS.out_of_orderness_ms)  # type: ignore[arg-type]

    def on_event(self, key: str, payload: bytes, watermark_ms: int, store: KeyedStore) -> Step:
        step = self.logic.on_event(key, payload, watermark_ms, store)
        self.note(key, watermark_ms)
        return self.kept(step)

    def on_timer(self, key: str, time_ms: int, watermark_ms: int, store: KeyedStore) -> Step:
        step = self.logic.on_timer(key, time_ms, watermark_ms, store)
        self.note(key, watermark_ms)
        if self.logic._watching and self.snapshots.is_time(time_ms):
            see = partial(self.logic.sight, key, time_ms, store)
            look = self.snapshots.on_time(key, time_ms, self.stores[key], see)
            if look.next_ms is not None:
                self.run.register(look.next_ms, key)
            self.messages += [] if look.message is None else [look.message]
            self.standings += [] if look.standing is None else [(key, look.standing)]
        return self.kept(step)

    def kept(self, step: Step) -> Step:
        """Standings of the customers' own are kept apart from those of looks."""
        wake_ms, outputs = step
        outputs = list(outputs)
        said = [(key, Standing.unpacked(packed)) for channel, key, packed in outputs if channel == Channel.STANDING]
        self.own += said
        return wake_ms, outputs

    def note(self, key: str, watermark_ms: int) -> None:
        if self.logic._watching and self.logic.news_ms is not None:
            look_ms = self.snapshots.look_ms(key, self.logic.news_ms, watermark_ms)
            assert look_ms is not None
            self.snapshots.note(look_ms, self.stores[key])
            self.run.register(look_ms, key)

    def on_start(self, view: DictView, watermark_ms: int) -> Step:
        step = self.logic.on_start(view, watermark_ms)
        self.snapshots.count(counted(self.logic.asks()))
        return step

    def on_control(self, raw: bytes, view: DictView, watermark_ms: int) -> Step:
        step = self.logic.on_control(raw, view, watermark_ms)
        self.snapshots.count(counted(self.logic.asks()))
        return step

    def event(self, key: str, at_ms: int, kind: str = "product_viewed", **more: object) -> None:
        self.number += 1
        fields = {"event_id": f"e{self.number}", "type": kind, "timestamp": at_ms, "customer_id": key, **more}
        if kind == "product_viewed":
            fields["product_id"] = "p"
        self.run.feed(key, at_ms, PLACE_END + json.dumps(fields).encode())

    def hours(self, first: int, last: int) -> None:
        """Time passes by somebody else."""
        for hour in range(first, last):
            self.event("busy", START_MS + hour * HOUR_MS)

    def sketches(self) -> FeatureSketches:
        sketches = FeatureSketches()
        for message in self.messages:
            if message.deltas:
                sketches.apply(Deltas.unpacked(message.deltas))
        return sketches


def restarted(job: Job, *, watching: bool) -> Job:
    """From its state, with a population or without one."""
    again = Job(OWN, watching=watching)
    again.run.stores, again.run.view = job.run.stores, job.run.view
    again.run._timers, again.run._registered = job.run._timers, job.run._registered
    again.stores, again.number = job.stores, job.number
    again.run.watermark_ms = job.run.watermark_ms
    again.run.start(job.run.view)
    return again


class TestEverybodyIsCounted:
    def test_when_rules_ask_anew(self) -> None:
        """Those who have not come since, too: a question is about everybody."""
        job = Job()
        job.run.start()
        for number in range(30):
            job.event(f"c{number}", START_MS + number * 1_000)
        job.hours(1, 20)
        assert len(job.sketches().sketch("views_30d")) == 0
        job.run.control(PLACE_END + json.dumps({"control_id": "1", "kind": "rules", "rules": ASKING}).encode())
        job.hours(20, 24)
        assert len(job.sketches().sketch("views_30d")) == 31

    def test_when_a_population_is_turned_on(self) -> None:
        """After a restart everybody is looked at."""
        job = Job(watching=False)
        job.run.start()
        for number in range(30):
            job.event(f"c{number}", START_MS + number * 1_000)
        job.hours(1, 20)
        again = restarted(job, watching=True)
        again.hours(20, 24)
        assert {message.customer_id for message in again.messages} == {"busy", *(f"c{number}" for number in range(30))}


class TestWindows:
    """They are counted as of the last look: at most as many days old as lie between two of them."""

    @pytest.mark.parametrize("seed", range(8))
    def test_views_of_30_days(self, seed: int) -> None:
        """Against a list of all views, late ones too; and who is away has been looked at when they should be."""
        random, job = Random(seed), Job(ASKING)
        job.run.start()
        job.snapshots.count(counted(job.logic.asks()))
        views: dict[str, list[int]] = defaultdict(list)
        now_ms = START_MS
        for _ in range(120):
            now_ms += random.choice((60_000, HOUR_MS, 9 * HOUR_MS, 3 * DAY_MS // 2))
            key, at_ms = random.choice("abcdefgh"[: random.randint(2, 8)]), now_ms - random.choice((0, 0, 0, HOUR_MS))
            views[key].append(at_ms)
            job.event(key, at_ms)
        now_ms += DAY_MS
        job.event("clock", now_ms)
        told = {message.customer_id: message.as_of_ms for message in job.messages if message.deltas or message.point}
        counts = QuantileSketch(scale_of("views_30d"))
        for key, times in views.items():
            as_of_ms, last_ms = told[key], max(times)
            counts.add(sum(as_of_ms - 30 * DAY_MS < at_ms <= as_of_ms for at_ms in times))
            due = [last_ms + away_ms for away_ms in (0, *job.snapshots.away_ms)]
            assert as_of_ms >= max(at_ms for at_ms in due if at_ms <= now_ms - EVERY_MS)
        assert job.sketches().sketch("views_30d").packed() == counts.packed()
        assert len({told[key] for key in views}) > 2
        for key, one in dict(job.standings).items():
            assert one.as_of_ms == told.get(key, one.as_of_ms)
            seen = sum(one.as_of_ms - 30 * DAY_MS < at_ms <= one.as_of_ms for at_ms in views.get(key, ()))
            assert one.values()["views_30d"] == seen or key == "clock"
            assert one.rules == parse_rules(ASKING).version


class TestStandings:
    """Who is said at once is not said again at the end of the interval, as long as nothing else has happened."""

    RULES = ASKING.replace("views_30d >= p", "cart_open and views_30d >= p")

    @pytest.mark.parametrize("later", ["nothing", "view", "left"])
    def test_a_filled_cart(self, later: str) -> None:
        """The cart is said at once, and again only if there is another event, or it is left alone."""
        job = Job(self.RULES)
        job.run.start()
        job.event("busy", START_MS - 2 * HOUR_MS)
        job.event("c", START_MS + 1_000, "product_added", product_id="p", quantity=1)
        if later == "view":
            job.event("c", START_MS + 20_000)
        for minute in range(1, 60 if later == "left" else 29):
            job.event("busy", START_MS + minute * 60_000)
        assert [one.as_of_ms for key, one in job.own if key == "c"] == [START_MS + 1_000]
        looks = [one for key, one in job.standings if key == "c"]
        assert len(looks) == (0 if later == "nothing" else 1)
        told = [one for one in job.messages if one.customer_id == "c"]
        assert len(told) == (2 if later == "left" else 1)
        if later == "left":
            assert looks[0].values()["cart_abandoned_at_ms"] == START_MS + 1_000 + SETTINGS.session_gap_ms

    def test_when_a_window_has_emptied(self) -> None:
        """Then it is said at the look: an order of thirty days ago, and a view of a minute after it."""
        rules = ASKING.replace("views_30d >= p", "orders_30d >= 1 and views_30d >= p")
        job = Job(rules)
        job.run.start()
        job.event("c", START_MS, "order_completed", order_id="o", value=10.0, currency="GBP", items=[])
        job.event("c", START_MS + 60_000)
        for day in range(32):
            job.event("busy", START_MS + day * DAY_MS)
        last = max((one for key, one in [*job.own, *job.standings] if key == "c"), key=lambda one: one.as_of_ms)
        assert last.values()["views_30d"] == 0
