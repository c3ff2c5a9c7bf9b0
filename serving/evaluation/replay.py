"""Replays a log: at each view of an item all methods foretell it, are scored, and only then learn it."""

import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from msgspec.structs import replace

from schemas.facts import Fact, Kind
from schemas.settings import Settings
from serving.catalog.item import Item
from serving.evaluation.baselines import Baseline, baselines
from serving.evaluation.measures import Tally
from serving.evaluation.replay_source import ReplaySource
from serving.evaluation.shop import LocalShop
from serving.popularity import MOST_POPULAR
from serving.ranking.engine import Recommender
from serving.ranking.request import Request
from serving.ranking.settings import RankingSettings
from serving.ranking.source import ALL
from serving.ranking.strategies import STRATEGIES
from state.rules.ruleset import RuleSet

NEW, ANY = "new", "any"
"""The questions: the next item not seen in the session before; the next one whatever it is, returns included."""


class Event(NamedTuple):
    """A decoded event."""

    subject: str
    fact: Fact
    raw: bytes


@dataclass(frozen=True, slots=True)
class Asked:
    """What is asked of whom."""

    k: int = 20
    strategies: tuple[str, ...] = tuple(STRATEGIES)
    with_baselines: bool = True
    from_ms: int = 0
    """Views before this time are learned and not asked."""
    until_ms: int | None = None
    """From this time on nothing is learned any more, as where a test set is split off; None: never."""
    first_views: bool = False
    """Whether the first view of a session is asked too, of visitors who were there before."""
    ranking: RankingSettings = field(default_factory=lambda: RankingSettings(part_timeout_ms=0))


@dataclass(slots=True)
class _Session:
    """What is going on with a visitor."""

    number: int
    name: str | None
    last_ms: int
    items: list[str] = field(default_factory=list)


class Replay:
    """One replay; `tallies[question][method]` has what the methods answered."""

    def __init__(
        self,
        settings: Settings,
        rules: RuleSet,
        asked: Asked,
        catalog: Iterable[Item] = (),
        more: Mapping[str, Baseline] | None = None,
    ) -> None:
        """
        Args:
            settings: of the job.
            rules: of its segments.
            asked: what is asked of whom.
            catalog: what the shop says of its items, at any time of the log; without it no scope knows a category.
            more: methods beside the published ones, by the names they have in `tallies`.
        """
        self._asked, self._settings = asked, settings
        self._source = ReplaySource()
        self._source.put_items(catalog)
        # each event shows in the next answer, as where serving is meant to be fresh (docs/serving.md)
        self._shop = LocalShop(replace(settings, profile_interval_ms=0), rules, self._source)
        changed = _changes(asked.ranking)
        self._recommenders = {question: Recommender(changed[question], self._source) for question in (NEW, ANY)}
        self._baselines: dict[str, Baseline] = {**(baselines() if asked.with_baselines else {}), **(more or {})}
        self._sessions: dict[str, _Session] = {}
        self._visitors: dict[str, int] = {}
        self._learned: Counter[str] = Counter()
        self._count = 0
        self.tallies: dict[str, defaultdict[str, Tally]] = {q: defaultdict(Tally) for q in (NEW, ANY)}

    @property
    def popularity(self) -> Mapping[str, float]:
        """Of every item that was learned how often it was viewed, put into a cart or ordered: plain counts."""
        return self._learned

    async def run(self, events: Iterable[Event], on_event: Callable[[], None] = lambda: None) -> None:
        """Replay events in order of time."""
        for event in events:
            if event.fact.kind == Kind.PRODUCT_VIEWED and event.fact.product_id is not None:
                await self._viewed(event, event.fact.product_id)
            elif self._learns(event.fact.time_ms):
                self._learn(event)
            on_event()

    def _learns(self, at_ms: int) -> bool:
        return self._asked.until_ms is None or at_ms < self._asked.until_ms

    async def _viewed(self, event: Event, item_id: str) -> None:
        session = self._session(event)
        returned = self._source.returns(event.subject)
        if event.fact.time_ms >= self._asked.from_ms and (session.items or (self._asked.first_views and returned)):
            await self._ask(event, session, item_id)
        if self._learns(event.fact.time_ms):
            for baseline in self._baselines.values():
                baseline.learn(session.number, item_id, session.items)
            self._learn(event)
        session.items.append(item_id)

    def _session(self, event: Event) -> _Session:
        """The visitor's session; a new one after the gap, or under another name of the producer."""
        fact, known = event.fact, self._sessions.get(event.subject)
        if known is not None:
            gap_ms = self._settings.session_gap_ms if fact.session_id is None else self._settings.session_id_idle_ms
            if known.name == fact.session_id and fact.time_ms - known.last_ms <= gap_ms:
                known.last_ms = fact.time_ms
                return known
        self._count += 1
        made = self._sessions[event.subject] = _Session(self._count, fact.session_id, fact.time_ms)
        return made

    async def _ask(self, event: Event, session: _Session, came: str) -> None:
        self._source.now_ms = event.fact.time_ms
        visitor = self._visitors.setdefault(event.subject, len(self._visitors))
        seen = set(session.items)
        viewed = tuple(dict.fromkeys(reversed(session.items)))
        for question in (ANY,) if came in seen else (NEW, ANY):
            tallies, recommender = self.tallies[question], self._recommenders[question]
            for name in self._asked.strategies:
                request = Request(
                    customer_id=event.subject, now_ms=event.fact.time_ms, limit=self._asked.k, strategy=name,
                    viewed=viewed,
                )  # fmt: skip
                started = time.perf_counter()
                answer = await recommender.recommend(request)
                tallies[name].seconds += time.perf_counter() - started
                tallies[name].add(visitor, [item.item_id for item in answer.items], came)
            for name, baseline in self._baselines.items() if session.items else ():
                started = time.perf_counter()
                items = self._best(baseline, session, seen if question == NEW else set())
                tallies[name].seconds += time.perf_counter() - started
                tallies[name].add(visitor, items, came)

    def _best(self, baseline: Baseline, session: _Session, left_out: set[str]) -> list[str]:
        """The k items of the highest scores, filled up with what is trending, as the strategies are."""
        scores = baseline.scores(session.number, session.items)
        ranked = sorted((-score, item_id) for item_id, score in scores.items() if item_id not in left_out)
        found = [item_id for _, item_id in ranked[: self._asked.k]]
        if len(found) < self._asked.k:
            more = (item_id for item_id, _ in self._source.first(ALL, MOST_POPULAR))
            found += [item_id for item_id in more if item_id not in left_out and item_id not in found]
        return found[: self._asked.k]

    def _learn(self, event: Event) -> None:
        fact = event.fact
        self._shop.feed(event.subject, fact.time_ms, event.raw)
        if fact.kind in (Kind.PRODUCT_VIEWED, Kind.PRODUCT_ADDED) and fact.product_id is not None:
            self._learned[fact.product_id] += 1
        elif fact.kind == Kind.ORDER_COMPLETED:
            self._learned.update(product_id for product_id, *_ in fact.lines)


def _changes(ranking: RankingSettings) -> dict[str, RankingSettings]:
    """For the next item whatever it is nothing is left out for having been viewed or bought."""
    return {NEW: replace(ranking, viewed_again=False), ANY: replace(ranking, viewed_again=True, bought_out_ms=0)}
