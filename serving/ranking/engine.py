"""From a question to the items to show.

::

    profile ─> context ─> plan ─> lists, scopes ─> scores ─> screen, rules ─┬─> enough? ─> variety ─> pins ─> answer
                (strategy)  (source, each part      (catalog)               └─< no: the next level of fallback
                             may fail by itself)
"""

from pathlib import Path

from serving.ranking.context import Context
from serving.ranking.loading import Loading
from serving.ranking.making import Making
from serving.ranking.request import LEVELS, MOST_ITEMS, STATIC, Answer, Request
from serving.ranking.settings import RankingSettings
from serving.ranking.shop_rules import ShopRules
from serving.ranking.shop_rules_file import load_shop_rules
from serving.ranking.source import Source
from serving.ranking.strategies import strategy_named


class Recommender:
    """Answers questions from what a source knows. One may serve many questions at once."""

    def __init__(self, settings: RankingSettings, source: Source, rules: ShopRules | None = None) -> None:
        """`rules`: None: those of the file that the settings name, if they name one.

        Raises:
            RuleError: the rules file has faults.
            UnknownStrategy: the settings name a strategy that there is not.
        """
        strategy_named(settings.strategy)
        self._settings = settings
        self._source = source
        file = settings.rules_file
        self._rules = rules or (ShopRules() if file is None else load_shop_rules(Path(file)))

    async def recommend(self, request: Request, settings: RankingSettings | None = None) -> Answer:
        """The items to show. Never raises for what a source does; see `Answer.degraded`.

        `settings`: in place of those of all answers; the shop's rules stay.

        Raises:
            UnknownStrategy: the request names one that there is not.
            ValueError: the limit is out of its range.
        """
        if not 1 <= request.limit <= MOST_ITEMS:
            raise ValueError(f"limit = {request.limit}: must be between 1 and {MOST_ITEMS}")
        settings = self._settings if settings is None else settings
        strategy = strategy_named(request.strategy or settings.strategy)
        loading = Loading(self._source, settings.part_timeout_ms)
        profile = await loading.profile(request.customer_id)
        context = Context(request, settings, profile, profile_read="profile" not in loading.failed)
        factors = self._source.clicks().factors(request.now_ms, settings.click_weight) if settings.click_weight else {}
        making = Making(context, self._rules.in_force(context), loading, factors)
        plan = strategy.plan(context)
        await loading.hear(plan, making.heard)
        await making.pin()
        level = strategy.level(context)
        await making.begin(level, plan, strategy.scores(context, plan, making.heard))
        if not making.is_full:
            await making.fall_back(level)
        items = making.items()
        return Answer(
            items=items,
            strategy=strategy.name,
            level=min((item.level for item in items if item.level in LEVELS), key=LEVELS.index, default=STATIC),
            degraded=bool(loading.failed),
            failed=tuple(loading.failed),
        )
