"""`seed`: Score = 0.5 relevance + 0.3 recency + 0.2 engagement, each between 0 and 1.

* relevance: the item's votes (votes.py) of the customer's views, cart and purchases, divided by the largest of all
  candidates.
* recency: 2^(-age / half-life) of the newest of those views, cart items and purchases whose list names the item;
  0 for an item that none names. The half-life is `recent_half_life_ms`. A cart has no times: Context.cart_age_ms.
* engagement: what the item's trending score (scope `all`) is of the highest one, by a square root, so that the second
  half of the list is told apart as well; 0 for an item that is not in it.
"""

from math import sqrt
from operator import itemgetter

from serving.ranking.context import Context
from serving.ranking.plan import Heard, ListVoice, Plan, ScopeVoice
from serving.ranking.request import PERSONAL, SESSION
from serving.ranking.source import ALL
from serving.ranking.strategies.personal import Personal
from serving.ranking.votes import count_votes, list_shares

RELEVANCE, RECENCY, ENGAGEMENT = 0.5, 0.3, 0.2
TRENDING_COUNT = 200
_personal = Personal()


class Seed:
    """The weighted sum above, of the items that have a vote at all."""

    name = "seed"

    def level(self, context: Context) -> str:
        return PERSONAL if context.has_history else SESSION

    def plan(self, context: Context) -> Plan:
        own = _personal.plan(context)
        return Plan(own.lists, (ScopeVoice(ALL, TRENDING_COUNT, ENGAGEMENT, "trending", None),), own.own)

    def scores(self, context: Context, plan: Plan, heard: Heard) -> dict[str, float]:
        votes = count_votes(Plan(plan.lists, own=plan.own), heard, context.request.now_ms)
        largest = max(votes.values(), default=0.0) or 1.0
        recency = _recency(context, plan, heard)
        trending = heard.scopes.get(ALL) or ()
        most = trending[0][1] if trending else 0.0
        engagement = {item_id: sqrt(max(0.0, score) / most) for item_id, score in trending} if most > 0 else {}
        # without any vote this is no answer to this customer: what is trending has a level of its own
        return {
            item_id: RELEVANCE * vote / largest
            + RECENCY * recency.get(item_id, 0.0)
            + ENGAGEMENT * engagement.get(item_id, 0.0)
            for item_id, vote in votes.items()
        }


def _recency(context: Context, plan: Plan, heard: Heard) -> dict[str, float]:
    """Of every item that a list names, by the youngest voice that does."""
    found: dict[str, float] = {item_id: 1.0 for item_id, _ in plan.own}
    aged = [(_age_ms(context, voice), voice) for voice in plan.lists]
    for age_ms, voice in sorted(aged, key=itemgetter(0)):
        recency = 0.5 ** (age_ms / context.settings.recent_half_life_ms)
        for item_id in list_shares(voice, heard):
            found.setdefault(item_id, recency)
    return found


def _age_ms(context: Context, voice: ListVoice) -> int:
    return context.cart_age_ms(voice.item_id) if voice.kind == "cart" else voice.age_ms
