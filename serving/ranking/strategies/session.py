"""`session`: what goes with the items of this session, the last one most. Knows nothing of the customer."""

from serving.ranking.context import Context, View
from serving.ranking.plan import Heard, ListVoice, OwnVoice, Plan
from serving.ranking.request import SESSION
from serving.ranking.votes import count_votes
from state.similar.settings import VIEWED_WITH

PLACE_POWER = 1.5
"""The item viewed k items before the last one weighs 1 / (1 + k)^1.5."""
RETURN_WEIGHT, RETURN_FALL = 0.9, 0.6
"""What a viewed item is worth as a place to return to, if that is wanted: 0.9 * 0.6^k."""


def place_weight(back: int) -> float:
    """The weight of the item viewed `back` items before the last one."""
    return float((1 + back) ** -PLACE_POWER)


def returns(session: tuple[View, ...]) -> tuple[OwnVoice, ...]:
    """Items of the session as places to return to."""
    return tuple(OwnVoice(view.item_id, RETURN_WEIGHT * RETURN_FALL**back) for back, view in enumerate(session))


class Session:
    """See above; its constants were chosen on the sixth day of the clicks that docs/recommendations.md names."""

    name = "session"

    def level(self, context: Context) -> str:
        return SESSION

    def plan(self, context: Context) -> Plan:
        voices = tuple(
            ListVoice(VIEWED_WITH, view.item_id, place_weight(back), "viewed", view.age_ms)
            for back, view in enumerate(context.session)
        )
        return Plan(voices, own=returns(context.session) if context.settings.viewed_again else ())

    def scores(self, context: Context, plan: Plan, heard: Heard) -> dict[str, float]:
        return count_votes(plan, heard, context.request.now_ms)
