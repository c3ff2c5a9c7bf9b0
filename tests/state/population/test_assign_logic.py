"""Population segments as a stream of standings and views goes by, against the rules read naively at every step."""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from random import Random
from typing import Any

import msgpack
import pytest
from answers import rfm_score
from naive_rules import NaiveRules, NaiveSegment
from rule_strategies import rules_of

from schemas.writes import WriteKind
from state.channels import Channel, Output
from state.local import DictStore
from state.packing import pack
from state.population.assign import AssignLogic
from state.population.percentiles import RFM, Percentiles, percentiles_of, rfm_question
from state.population.questions import key_of
from state.population.refusal import PopulationError
from state.population.scales import scale_of
from state.population.sketch import QuantileSketch
from state.population.standing import Standing
from state.population.view import PopulationView
from state.rules.features import FEATURES
from state.rules.ruleset import RuleSet
from state.rules.watched import watched_of

DAY_MS = 86_400_000
START_MS = 1_750_000_000_000
SEGMENTS = [
    NaiveSegment("active", "views_7d >= 2", None, 0),
    NaiveSegment("big", "revenue_total_cents > percentile(revenue_total_cents, 75)",
                 "revenue_total_cents < percentile(revenue_total_cents, 50)", 3 * DAY_MS),
    NaiveSegment("keen", "quartile(engagement) == 4 and cart_open", None, 0),
    NaiveSegment("best", "rfm_recency >= 4 and rfm_monetary >= 3 and segment('active')",
                 "rfm_monetary <= 2 or absent(recency_ms)", DAY_MS),
    NaiveSegment("vip", "segment('big') and (segment('active') or orders_30d >= 2)", None, 0),
    NaiveSegment("plain", "not (rfm_frequency >= 3)", None, 0),
]  # fmt: skip
FEWER = [SEGMENTS[0], SEGMENTS[2], NaiveSegment("big", "quartile(revenue_total_cents) >= 3", None, 0)]
USED = ("views_7d", "orders_30d", "orders_total", "revenue_total_cents", "engagement", "recency_ms", "cart_open")


RULES, OTHERS = rules_of(SEGMENTS), rules_of(FEWER)


@dataclass
class Person:
    """What the test knows of a customer."""

    values: dict[str, Any] = field(default_factory=dict)
    as_of_ms: int = -1
    told_ms: int = -1
    members: dict[str, int] = field(default_factory=dict)
    """By the naive reading: all segments, and since when."""
    rules: tuple[RuleSet, list[NaiveSegment]] = (RULES, SEGMENTS)
    shown: bool = False
    revision: int = 0

    @property
    def version(self) -> int:
        """As a customer's own facts have it: time first."""
        return (self.as_of_ms << 21) + self.revision


class Shop:
    """The logic and its oracle side by side."""

    def __init__(self, seed: int, cached: int = 1_000) -> None:
        self.random = Random(seed)
        self.logic = AssignLogic(RULES.remainder, cached_customers=cached)
        self.stores: dict[str, DictStore] = {}
        self.people: dict[str, Person] = {}
        self.percentiles: dict[tuple[str, bool], Percentiles] = {}
        self.number = 0
        self.now_ms = START_MS
        self.told: dict[str, dict[str, int]] = {}
        """What a subscriber to the changes has, of the segments that ask."""
        self.memberships: dict[str, dict[str, int]] = {}
        self.profiles: dict[str, tuple[int, dict[str, Any], dict[str, int]]] = {}
        self.causes: set[str] = set()

    # -- what happens -------------------------------------------------------------------------------------------------

    def standing(self, key: str) -> None:
        """New facts of a customer, now and then older than what was said before."""
        person, random = self.people.setdefault(key, Person()), self.random
        person.values = self.draw()
        person.as_of_ms = max(person.as_of_ms, self.now_ms - random.choice((0, 0, 0, 5_000)))
        person.revision += random.choice((1, 1, 2))
        if person.shown and random.random() < 0.05:
            self.hide(key, person)
            return
        self.say(key, person, ("event", f"e{person.version}"))

    def say(self, key: str, person: Person, cause: Any) -> None:
        rules, _ = person.rules
        watched = watched_of(rules)
        row = tuple(person.values.get(name) for name in watched.reads)
        mask = rules.step(row[: len(rules.reads)], 0, -1)
        parts = watched.truths(row, mask) >> len(rules.names)
        person.shown = True
        features = msgpack.packb({name: value for name, value in person.values.items() if value is not None})
        standing = Standing(person.as_of_ms, person.version, rules.version, True, parts, cause, features)
        self.take(*self.logic.on_standing(key, standing.packed(), self.now_ms, self.store(key)))
        self.judge(person, max(person.as_of_ms, person.told_ms))
        self.check(key, person, said=True)

    def hide(self, key: str, person: Person) -> None:
        """Consent withdrawn, or erased: out of everything at once."""
        rules, _ = person.rules
        standing = Standing(person.as_of_ms, person.version, rules.version, False, 0, ("consent", None), b"")
        self.take(*self.logic.on_standing(key, standing.packed(), self.now_ms, self.store(key)))
        person.shown, person.members = False, {}
        person.told_ms = max(person.as_of_ms, person.told_ms)
        assert self.told.get(key, {}) == {}
        assert self.memberships.get(key, {}) == {}
        if key in self.profiles:
            assert self.profiles[key][1] == {"as_of_ms": person.as_of_ms}
            assert self.profiles[key][2] == {}

    def view(self) -> None:
        """The population as it is now."""
        shown = [person for person in self.people.values() if person.shown]
        asked = {key_of(asked) for rules in (RULES, OTHERS) for asked in rules.remainder.asks}
        self.number += 1
        for feature, positive in sorted(asked):
            sketch = QuantileSketch(scale_of(feature))
            for person in shown:
                if person.values.get(feature) is not None:
                    sketch.add(person.values[feature], at_ms=person.as_of_ms)
            found = percentiles_of(feature, sketch, positive=positive)
            if found is not None:
                self.percentiles[feature, positive] = found
        packed = PopulationView(self.number, self.now_ms, self.percentiles, None).packed()
        assert self.logic.on_view(packed)
        assert not self.logic.on_view(packed)
        self.wake_all()

    def wake_all(self) -> None:
        self.now_ms += 1
        for key, person in self.people.items():
            self.take(*self.logic.on_timer(key, self.now_ms, self.now_ms, self.store(key)))
            if person.shown:
                self.judge(person, self.now_ms)
                self.check(key, person, said=False)

    def other_rules(self) -> None:
        """A customer takes them up where its own facts are."""
        self.logic.learn_rules(OTHERS.remainder)
        for key, person in self.people.items():
            person.rules = (OTHERS, FEWER)
            if person.shown:
                person.as_of_ms, person.revision = self.now_ms, person.revision + 1
                person.members = {name: at for name, at in person.members.items() if name in ("active", "keen", "big")}
                self.say(key, person, ("rules", None))

    # -- the oracle ---------------------------------------------------------------------------------------------------

    def judge(self, person: Person, now_ms: int) -> None:
        """One step of all rules, by the words of the documentation."""
        rules, segments = person.rules
        person.told_ms = now_ms
        answers = self.answers(person, rules)
        if answers is None:
            return
        held = {
            one.name for one in segments
            if one.stay_ms and one.name in person.members and now_ms - person.members[one.name] < one.stay_ms
        }  # fmt: skip
        after, _ = NaiveRules(segments).step({**person.values, **answers}, set(person.members), held)
        person.members = {name: person.members.get(name, now_ms) for name in after}

    def answers(self, person: Person, rules: RuleSet) -> dict[str, Any] | None:
        found: dict[str, Any] = {}
        for asked in rules.remainder.asks:
            percentiles = self.percentiles.get(key_of(asked))
            if percentiles is None:
                return None
            value = person.values.get(percentiles.feature)
            if asked.function == "percentile":
                found[asked.text] = percentiles.percentile(asked.args[1], person.as_of_ms)
            elif asked.function == "quartile":
                found[asked.text] = percentiles.quartile(value, person.as_of_ms)
            else:
                found[asked.text] = rfm_score(asked.function, percentiles, value, person.as_of_ms)
        return found

    def check(self, key: str, person: Person, *, said: bool) -> None:
        rules, _ = person.rules
        asking = set(rules.remainder.names)
        expected = {name: at_ms for name, at_ms in person.members.items() if name in asking}
        assert self.told.get(key, {}) == expected
        if key not in self.profiles:  # before the first view, of one who was not hidden meanwhile
            assert not self.number
            return
        _, profile, members = self.profiles[key]
        assert profile["segments"] == members == self.memberships.get(key, {}) == expected
        if said:
            assert profile["as_of_ms"] == person.as_of_ms
            questions = {name: self.percentiles.get(rfm_question(name)) for name in RFM}
            scores = {
                name: rfm_score(name, one, person.values.get(RFM[name]), person.as_of_ms)
                for name, one in questions.items()
                if one is not None
            }
            assert profile["features"] == scores

    # -- around -------------------------------------------------------------------------------------------------------

    def draw(self) -> dict[str, Any]:
        random = self.random
        values = {
            "views_7d": random.randint(0, 4),
            "orders_30d": random.randint(0, 3),
            "orders_total": random.randint(0, 6),
            "revenue_total_cents": random.choice((0, 0, 500, 2_000, 2_100, 9_999, 70_000)),
            "engagement": random.choice((0.0, 0.3, 1.5, 4.0, 11.0)),
            "cart_open": random.random() < 0.5,
            "recency_ms": random.choice((None, 0, DAY_MS, 20 * DAY_MS, 90 * DAY_MS)),
        }
        assert set(values) == set(USED) <= set(FEATURES)
        return values

    def store(self, key: str) -> DictStore:
        return self.stores.setdefault(key, DictStore())

    def take(self, wake_ms: int | None, outputs: Iterable[Output]) -> None:
        assert wake_ms is None or wake_ms > self.now_ms
        for channel, key, payload in outputs:
            if channel == Channel.SEGMENT_CHANGE:
                self.changed(key, json.loads(payload))
            elif channel == Channel.MEMBERSHIPS:
                self.memberships[key] = json.loads(payload)["segments"] if payload else {}
            else:
                self.written(payload)

    def changed(self, key: str, change: dict[str, Any]) -> None:
        members = self.told.setdefault(key, {})
        if change["change"] == "entered":
            assert change["segment"] not in members
            members[change["segment"]] = change["at_ms"]
        else:
            assert members.pop(change["segment"]) == change["since_ms"]
        assert change["since_ms"] <= change["at_ms"]
        self.causes.add(change["cause"]["kind"])

    def written(self, payload: bytes) -> None:
        kind, name, packed, *rest = msgpack.unpackb(payload, raw=True)
        value = msgpack.unpackb(packed)
        version = value.pop("version")
        key = name.decode()
        before = self.profiles.get(key, (-1, {}, {}))
        assert version > before[0]
        members = dict(before[2])
        assert kind == WriteKind.POPULATION
        since, others = rest
        members |= {since[at].decode(): since[at + 1] for at in range(0, len(since), 2)}
        members = {one: at for one, at in members.items() if one.encode() not in others}
        self.profiles[key] = (version, value, members)


class TestAgainstNaiveReading:
    """After every step changes, memberships and profiles say what the rules say, read from the documentation."""

    @pytest.mark.parametrize("cached", [0, 4, 1_000])
    @pytest.mark.parametrize("seed", range(15))
    def test_random_shops(self, seed: int, cached: int) -> None:
        """Facts, views, pauses, withdrawn consent, and in the end other rules; through packed state, or a cache."""
        shop = Shop(seed, cached)
        keys = [f"c{number}" for number in range(6)]
        for step in range(80):
            shop.now_ms += shop.random.choice((1, 1_000, DAY_MS // 4, DAY_MS))
            if step > 10 and shop.random.random() < 0.15:
                shop.view()
            elif shop.random.random() < 0.1:
                shop.wake_all()
            else:
                shop.standing(shop.random.choice(keys))
            if step == 60:
                shop.other_rules()
        assert {"event", "model"} <= shop.causes

    def test_causes(self) -> None:
        """Whatever is said says why: an event, another view, time (a minimum stay), other rules, withdrawn consent."""
        causes: set[str] = set()
        for seed in range(25, 45):
            shop = Shop(seed)
            for step in range(60):
                shop.now_ms += shop.random.choice((1_000, DAY_MS // 2))
                choice = shop.random.random()
                if step in (8, 30) or choice < 0.05:
                    shop.view()
                elif choice < 0.4:
                    shop.wake_all()
                else:
                    shop.standing(shop.random.choice("ab"))
            shop.other_rules()
            causes |= shop.causes
        assert causes == {"event", "model", "time", "rules", "consent"}


class TestAfterACrash:
    """Redis has what a lost run has written, which may have seen the customer with a view that no one sees again."""

    def test_the_sorted_sets_heal(self) -> None:
        """With the first write that is newer than those of the lost run, although nothing turns with it."""
        before = Shop(3)
        for step in range(30):
            before.now_ms += DAY_MS // 4
            before.standing("abc"[step % 3])
        before.view()
        saved = {key: store.packed for key, store in before.stores.items()}
        after = Shop(3)
        after.now_ms, after.percentiles, after.number = before.now_ms, before.percentiles, before.number
        after.people, after.memberships, after.told = before.people, before.memberships, before.told
        after.logic.on_view(PopulationView(after.number, after.now_ms, after.percentiles, None).packed())
        stray = {"big": 1, "vip": 2}
        for key, packed in saved.items():
            after.store(key).packed = packed
            version, value, members = before.profiles[key]
            after.profiles[key] = version, value, {**stray, **members}
        for key, person in after.people.items():
            features = msgpack.packb({name: value for name, value in person.values.items() if value is not None})
            told = Standing(person.as_of_ms, person.version, RULES.version, True, 0, ("event", "e"), features)
            after.logic.on_standing(key, told.packed(), after.now_ms, after.store(key))  # Redis leaves it aside
            after.now_ms += 1
            after.standing(key)
            assert after.profiles[key][2] == after.profiles[key][1].get("segments", {})

    def test_with_each_view(self) -> None:
        """Of everybody, with a version by time, although nobody's facts are said and nothing turns."""
        shop = Shop(5)
        for key in "ab":
            shop.standing(key)
        shop.view()
        before = {key: version for key, (version, _, _) in shop.profiles.items()}
        shop.now_ms += DAY_MS
        shop.view()
        assert before.keys() == {"a", "b"}
        assert all(shop.profiles[key][0] - version > DAY_MS for key, version in before.items())


class TestSegmentsThatChangeTheirKind:
    """What own facts decide under newer rules is told by others: nobody is taken out of it here."""

    def test_under_other_rules(self) -> None:
        """`vip` is left to them, `best` is gone."""
        rules = rules_of([SEGMENTS[0], SEGMENTS[1], NaiveSegment("vip", "orders_30d >= 2", None, 0)])
        shop = Shop(1)
        shop.standing("a")
        shop.view()
        shop.logic.learn_rules(rules.remainder)
        person = shop.people["a"]
        features = msgpack.packb({name: value for name, value in person.values.items() if value is not None})
        told = Standing(shop.now_ms, person.version + 1, rules.version, True, 0, ("rules", None), features)
        _, outputs = shop.logic.on_standing("a", told.packed(), shop.now_ms, shop.store("a"))
        (write,) = (payload for channel, _, payload in outputs if channel == Channel.REDIS)
        since, others = msgpack.unpackb(write, raw=True)[3:]
        assert {*since[::2], *others} == {b"big", b"best", b"keen", b"plain"}


class TestWaiting:
    """While the population is not known, nothing is said of it."""

    def test_before_the_first_view(self) -> None:
        """Of a customer nothing is written but what own facts say, which is not written here."""
        shop = Shop(1)
        shop.people["a"] = Person()
        shop.standing("a")
        assert shop.told == shop.profiles == shop.memberships == {}

    def test_who_is_hidden_leaves_nothing(self) -> None:
        """A day after consent was withdrawn the state is empty."""
        shop = Shop(2)
        person = shop.people["a"] = Person()
        shop.standing("a")
        person.revision += 1
        shop.hide("a", person)
        kept = shop.store("a").packed
        assert kept is not None
        assert b"engagement" not in kept
        shop.now_ms += DAY_MS
        shop.take(*shop.logic.on_timer("a", shop.now_ms, shop.now_ms, shop.store("a")))
        assert shop.store("a").packed is None


class TestPacked:
    """Versions of state and messages."""

    @pytest.mark.parametrize("read", [Standing.unpacked, PopulationView.unpacked])
    def test_newer_bytes_are_refused(self, read: Any) -> None:
        """With a word about it."""
        with pytest.raises(PopulationError, match="version 99"):
            read(pack([99, "a", 1, 2, 3]))
