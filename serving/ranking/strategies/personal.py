"""`personal`: this session, earlier ones, the cart, what was bought, what customers alike like, and what is new."""

from collections.abc import Iterator

from serving.ranking.context import Context
from serving.ranking.plan import Heard, ListVoice, Plan, ScopeVoice
from serving.ranking.request import PERSONAL, SESSION
from serving.ranking.source import new_scope, segment_scope
from serving.ranking.strategies.session import place_weight, returns
from serving.ranking.votes import count_votes
from state.similar.settings import BOUGHT_WITH, VIEWED_WITH

CART_PAGES = ("cart", "checkout")
CART_WEIGHT, CART_WEIGHT_ELSEWHERE = 1.0, 0.2
"""On a page of the cart, and elsewhere, where companions of the cart are not what the visitor is after. Shared by the
items of the cart as the square root of their number: more items say more, but not so much more."""
BOUGHT_WEIGHT = 0.1
BOUGHT_USED = 5
SEGMENT_WEIGHT = 0.005
SEGMENT_COUNT = 50
NEW_WEIGHT = 0.03
NEW_COUNT = 10
CART_USED = 10


class Personal:
    """A view weighs by its place among the last ones and, from an earlier session, by its age; see above."""

    name = "personal"

    def level(self, context: Context) -> str:
        return PERSONAL if context.has_history else SESSION

    def plan(self, context: Context) -> Plan:
        lists = tuple(_lists(context))
        if not lists:  # what is popular or new has levels of its own
            return Plan()
        return Plan(lists, tuple(_scopes(context)), returns(context.session) if context.settings.viewed_again else ())

    def scores(self, context: Context, plan: Plan, heard: Heard) -> dict[str, float]:
        return count_votes(plan, heard, context.request.now_ms)


def _lists(context: Context) -> Iterator[ListVoice]:
    settings = context.settings
    for back, view in enumerate(context.views):
        aged = 1.0 if view.in_session else 0.5 ** (view.age_ms / settings.recent_half_life_ms)
        yield ListVoice(VIEWED_WITH, view.item_id, place_weight(back) * aged, "viewed", view.age_ms)
    cart = context.cart[:CART_USED]
    in_all = CART_WEIGHT if context.request.page in CART_PAGES else CART_WEIGHT_ELSEWHERE
    for item_id in cart:
        yield ListVoice(BOUGHT_WITH, item_id, in_all / len(cart) ** 0.5, "cart")
    for item_id, age_ms in context.bought[:BOUGHT_USED]:
        weight = BOUGHT_WEIGHT * 0.5 ** (age_ms / settings.bought_half_life_ms)
        yield ListVoice(BOUGHT_WITH, item_id, weight, "bought", age_ms)


def _scopes(context: Context) -> Iterator[ScopeVoice]:
    settings = context.settings
    for place, segment in enumerate(context.segments[: settings.segments_used]):
        yield ScopeVoice(segment_scope(segment), SEGMENT_COUNT, SEGMENT_WEIGHT / (1 + place), "segment", segment)
    for place, category in enumerate(context.categories[: settings.categories_used]):
        yield ScopeVoice(new_scope(category), NEW_COUNT, NEW_WEIGHT / (1 + place), "new", category, settings.new_ms)
