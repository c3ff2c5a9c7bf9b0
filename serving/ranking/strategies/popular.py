"""`popular`: what everybody likes now, the same for all but for what one has already."""

from serving.ranking.context import Context
from serving.ranking.plan import Heard, Plan, ScopeVoice
from serving.ranking.request import TRENDING
from serving.ranking.source import ALL
from serving.ranking.votes import count_votes

COUNT = 200


class Popular:
    """The trending items of the whole shop, by their score."""

    name = "popular"

    def level(self, context: Context) -> str:
        return TRENDING

    def plan(self, context: Context) -> Plan:
        return Plan(scopes=(ScopeVoice(ALL, COUNT, 1.0, "trending", None),))

    def scores(self, context: Context, plan: Plan, heard: Heard) -> dict[str, float]:
        return count_votes(plan, heard, context.request.now_ms)
