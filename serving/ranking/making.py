"""An answer in the making."""

from collections.abc import Mapping
from heapq import nlargest
from typing import NamedTuple

from serving.catalog.item import Item
from serving.ranking import fallback
from serving.ranking.best_first import BestFirst
from serving.ranking.context import Context
from serving.ranking.diversity import capped, mmr, spread
from serving.ranking.level_heard import is_of_others, level_heard
from serving.ranking.loading import Loading
from serving.ranking.plan import Heard, Plan
from serving.ranking.request import PINNED, STATIC, Reason, Recommended
from serving.ranking.screen import Screen
from serving.ranking.shop_rules import Rule, RulesInForce
from serving.ranking.votes import count_votes, reason, reasons_of

_SPARE = 30
"""So many candidates more than there are places are looked up in the catalog, for variety to choose from."""
_FEW = 2
"""So many candidates for each place are looked up first: as a rule these are enough."""


class _Candidates(NamedTuple):
    """Of items that may be shown: scores after boosts, and names of the rules that boosted them."""

    scores: dict[str, float]
    boosts: dict[str, str | None]
    settled: list[str] | None
    """Those for the free places, in their order, if that was known before all were looked at."""


class Making:
    """Candidates level by level, each level in its final order behind those before."""

    def __init__(
        self, context: Context, rules: RulesInForce, loading: Loading, click_factors: Mapping[str, float]
    ) -> None:
        """`click_factors`: what scores of items are multiplied by, but for the shop's static list; others by 1."""
        self.heard = Heard()
        self._context = context
        self._limit = context.request.limit
        self._rules = rules
        self._screen = Screen(context, rules)
        self._loading = loading
        self._click_factors = click_factors
        self._by_score = context.settings.diversity <= 0
        """Whether candidates stay in the order of their scores, but for those that are too many of a category."""
        self._known: dict[str, Item] = {}
        self._asked: set[str] = set()
        self._pins: dict[str, Rule] = {}
        self._chosen: dict[str, tuple[str, Plan | None, float, str | None]] = {}
        """Item: level, plan it is of, score, name of the rule that boosted it. In the order to be shown."""

    @property
    def is_full(self) -> bool:
        """Whether there are as many items as were asked for."""
        return self._places <= 0

    @property
    def _places(self) -> int:
        """That are still free."""
        return self._limit - len(self._pins) - len(self._chosen)

    async def pin(self) -> None:
        """Take what rules want pinned out of the competition, as far as it may be shown and has a place."""
        wanted: dict[str, Rule] = {}
        for rule in self._rules.pins:
            for item_id in rule.pinned:
                wanted.setdefault(item_id, rule)  # of two rules the one with the place further up
        await self._look_up(list(wanted))
        for item_id, rule in wanted.items():
            allowed = self._screen.allows(item_id, self._known.get(item_id), unread=item_id in self._loading.unread)
            if allowed and rule.position <= self._limit and len(self._pins) < self._limit:
                self._pins[item_id] = rule

    async def begin(self, best: str, plan: Plan, scores: dict[str, float]) -> None:
        """The items of the strategy, with the level of the voices that gave those which are shown; at best `best`.

        If none of the customer's own voices gave anything that may be shown, they are left to the levels of fallback:
        what is popular is then ordered, scored and named as it is there.
        """
        candidates = await self._candidates(plan, scores)
        shown = self._shown(candidates)
        level = level_heard(set(shown), best, plan, self.heard, self._context)
        if is_of_others(level, best):
            everything = await self._candidates(plan, scores, all_of_them=True)
            if is_of_others(level_heard(everything.scores.keys(), best, plan, self.heard, self._context), best):
                return
        self._choose(level, plan, candidates, shown)

    async def add(self, level: str, plan: Plan | None, scores: dict[str, float]) -> None:
        """The items of a level that may be shown, in their order, behind those of the levels before."""
        candidates = await self._candidates(plan, scores)
        self._choose(level, plan, candidates, self._shown(candidates))

    def _choose(self, level: str, plan: Plan | None, candidates: _Candidates, item_ids: list[str]) -> None:
        for item_id in item_ids:
            self._chosen[item_id] = level, plan, candidates.scores[item_id], candidates.boosts[item_id]

    async def _candidates(
        self, plan: Plan | None, scores: Mapping[str, float], *, all_of_them: bool = False
    ) -> _Candidates:
        """Those that may be shown: as many as can change which are, or all that have a chance of one of the places."""
        scores = self._open(scores, {} if plan is None else self._click_factors)
        wanted, known, allows, factor_of = self._places + _SPARE, self._known, self._screen.allows, self._rules.factor
        unread = self._loading.unread
        most = max(1.0, self._rules.most_factor)  # what follows may be in no rule, and what went before was buried
        ranked = BestFirst(scores, wanted if most == 1.0 else 2 * wanted)  # what is boosted comes from further down
        final: dict[str, float] = {}
        boosts: dict[str, str | None] = {}
        settled: list[str] | None = None
        at, count = 0, _FEW * self._places if self._by_score else wanted
        while some := ranked.part(at, at + count):
            await self._look_up(some)
            for item_id in some:
                item = known.get(item_id)
                if allows(item_id, item, unread=item_id in unread):
                    factor, boosts[item_id] = factor_of(item_id, item)
                    final[item_id] = scores[item_id] * factor
            at += len(some)
            next_one = ranked.part(at, at + 1)
            if not next_one:
                break
            reach = scores[next_one[0]] * most
            settled = None if all_of_them else self._settled(final, reach)
            if settled is not None or (len(final) >= wanted and reach <= nlargest(wanted, final.values())[-1]):
                break
            count = wanted - at if at < wanted else max(wanted - len(final), _SPARE)
        return _Candidates(final, boosts, settled)

    def _open(self, scores: Mapping[str, float], click_factors: Mapping[str, float]) -> dict[str, float]:
        """The scores of items that are not left out or placed already, each times what its clicks make of it."""
        found = dict(scores)
        for item_id in (*self._context.left_out, *self._chosen, *self._pins):
            found.pop(item_id, None)
        for item_id in found.keys() & click_factors.keys():
            found[item_id] *= click_factors[item_id]
        return found

    def _settled(self, final: dict[str, float], reach: float) -> list[str] | None:
        """The items for the free places, if no item with a score up to `reach` can change anything any more."""
        if not self._by_score or len(final) < self._places:
            return None
        if self._rules.change_scores:
            certain = [item_id for item_id in _by_score(final) if final[item_id] > reach]
        else:
            certain = list(final)
        kept, _ = capped(self._placed(), certain, self._known, self._limit, self._context.settings.category_share)
        return kept[: self._places] if len(kept) >= self._places else None

    def _shown(self, candidates: _Candidates) -> list[str]:
        """The items for the free places, with variety."""
        if candidates.settled is not None:
            return candidates.settled
        settings, scores = self._context.settings, candidates.scores
        ranked = mmr(_by_score(scores), scores, self._known, self._places, settings.diversity)
        return spread(self._placed(), ranked, self._known, self._limit, settings.category_share)[: self._places]

    def _placed(self) -> list[str]:
        """Items that have their places already."""
        return [*self._pins, *self._chosen]

    async def _look_up(self, item_ids: list[str]) -> None:
        unknown = [item_id for item_id in item_ids if item_id not in self._asked]
        self._asked.update(unknown)
        self._known.update(await self._loading.items(unknown))

    async def fall_back(self, level: str) -> None:
        """Levels below the strategy's own, until there is enough."""
        context = self._context
        await self._look_up(fallback.at_hand(context))
        below = fallback.levels(context, self._known, level)
        scopes = tuple(scope for one in below for scope in one.plan.scopes)
        await self._loading.hear(Plan(scopes=scopes), self.heard)  # all of them in one go: this is the slow way already
        for one in below:
            if self.is_full:
                return
            await self.add(one.name, one.plan, count_votes(one.plan, self.heard, context.request.now_ms))
        if not self.is_full:
            static = context.settings.static
            await self.add(STATIC, None, {item_id: 1 - place / len(static) for place, item_id in enumerate(static)})

    def items(self) -> tuple[Recommended, ...]:
        """What was chosen, with its reasons, and pinned items in their places."""
        reasons = self._reasons()
        shown = []
        for item_id, (level, _, score, boost) in self._chosen.items():
            added = () if boost is None else (reason("rule", boost),)
            shown.append(Recommended(item_id, score, level, reasons[item_id] + added))
        for item_id, rule in sorted(self._pins.items(), key=lambda pin: pin[1].position):
            place = rule.position - 1
            while place < len(shown) and shown[place].level == PINNED:  # taken: the next one
                place += 1
            shown.insert(place, Recommended(item_id, 0.0, PINNED, (reason("rule", rule.name),)))
        return tuple(shown)

    def _reasons(self) -> dict[str, tuple[Reason, ...]]:
        found: dict[str, tuple[Reason, ...]] = {}
        by_plan: dict[int, tuple[Plan | None, list[str]]] = {}
        for item_id, (_, plan, _, _) in self._chosen.items():
            by_plan.setdefault(id(plan), (plan, []))[1].append(item_id)
        for plan, item_ids in by_plan.values():
            if plan is None:
                found.update(dict.fromkeys(item_ids, (reason("static", None),)))
            else:
                found.update(reasons_of(item_ids, plan, self.heard, self._context.request.now_ms))
        return found


def _by_score(scores: Mapping[str, float]) -> list[str]:
    return sorted(scores, key=lambda item_id: (-scores[item_id], item_id))
