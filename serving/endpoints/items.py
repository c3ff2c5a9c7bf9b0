"""GET /v1/items/{item_id}/similar and GET /v1/popular."""

from collections.abc import Sequence
from contextlib import suppress
from typing import Annotated, ClassVar

import msgspec

from schemas.decode import ID_MAX_BYTES
from serving.popularity import MOST_POPULAR, OF_CATEGORY
from serving.ranking.source import ALL, Neighbour
from serving.redis_link import Unavailable
from serving.replies import Popular, PopularItem, SimilarItem, SimilarItems
from serving.routes import Call, Route
from state.similar.settings import VIEWED_WITH, Relation

_MOST_SIMILAR = 50
_LONGEST_SCOPE = len(OF_CATEGORY) + ID_MAX_BYTES


class SimilarQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which neighbours."""

    relation: Relation = VIEWED_WITH
    limit: Annotated[int, msgspec.Meta(ge=1, le=_MOST_SIMILAR)] = 10
    ABOUT: ClassVar[dict[str, str]] = {
        "relation": "Viewed in one session, or bought together (docs/similar-items.md).",
        "limit": "How many neighbours at most.",
    }


class PopularQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which trend."""

    scope: Annotated[
        str, msgspec.Meta(pattern=r"^(all|viewed|bought|(category|segment):[\s\S]+)$", max_length=_LONGEST_SCOPE)
    ] = ALL
    limit: Annotated[int, msgspec.Meta(ge=1, le=MOST_POPULAR)] = 10
    ABOUT: ClassVar[dict[str, str]] = {
        "scope": "`all`, `viewed`, `bought`, `category:NAME` or `segment:NAME`.",
        "limit": "How many items at most.",
    }


async def similar(call: Call) -> SimilarItems:
    """An item's neighbours; none, and degraded, if nobody can say now: a page does without, it need not fail."""
    services, query = call.services, call.query
    attention = services.attention()
    found: Sequence[Neighbour] = ()
    with suppress(Unavailable):
        (found,) = await services.source.similar(query.relation, [call.subject])
    neighbours = tuple(SimilarItem(*neighbour[:3]) for neighbour in found[: query.limit])
    return SimilarItems(call.subject, query.relation, neighbours, services.told(attention))


async def popular(call: Call) -> Popular:
    """What trends; nothing, and degraded, if nobody can say now."""
    services, query = call.services, call.query
    attention = services.attention()
    found: Sequence[tuple[str, float]] = ()
    with suppress(Unavailable):
        found = await services.source.popular(query.scope, query.limit)
    items = tuple(PopularItem(item_id, score) for item_id, score in found)
    return Popular(query.scope, items, services.told(attention))


ROUTES = (
    Route(
        "/v1/items/{item_id}/similar",
        similar,
        "Items that go with this one, best first; none for an item that is not known. While Redis is gone, what this "
        "server has read before: if it never did, none, and `degraded`.",
        SimilarItems,
        query=SimilarQuery,
        subject_about="The item's id.",
    ),
    Route(
        "/v1/popular",
        popular,
        "Items that trend: with everybody, in a category or in a segment. While Redis is gone, what this server has "
        "read before: if it never did, none, and `degraded`.",
        Popular,
        query=PopularQuery,
    ),
)
