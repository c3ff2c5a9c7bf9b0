"""GET /v1/recommendations/{customer_id}."""

import asyncio
import secrets
from typing import Annotated, Any, ClassVar, Literal

import msgspec

from schemas.decode import wall_clock_ms
from serving.attention import Attention
from serving.catalog.item import Item
from serving.parameters import Id, Word
from serving.problems import Fault, invalid_parameter
from serving.ranking.request import DEFAULT_LIMIT, MOST_ITEMS, STATIC, Answer, Filters, Request
from serving.ranking.strategies import STRATEGIES, UnknownStrategy
from serving.redis_link import Unavailable
from serving.replies import Recommendations
from serving.routes import Call, Route

Ids = Annotated[tuple[Id, ...], msgspec.Meta(max_length=100)]
Strategy = Annotated[str, msgspec.Meta(extra_json_schema={"enum": sorted(STRATEGIES)})]
Words = Annotated[tuple[Word, ...], msgspec.Meta(max_length=20)]
Cents = Annotated[int, msgspec.Meta(ge=0, le=2**53)]
_EARLIEST_MS, _LATEST_MS = 631_152_000_000, 7_258_118_400_000


class RecommendationsQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The context of a question."""

    limit: Annotated[int, msgspec.Meta(ge=1, le=MOST_ITEMS)] = DEFAULT_LIMIT
    strategy: Strategy | None = None
    page: Word | None = None
    product_id: Id | None = None
    cart: Ids = ()
    viewed: Ids = ()
    exclude: Ids = ()
    time_ms: Annotated[int, msgspec.Meta(ge=_EARLIEST_MS, le=_LATEST_MS)] | msgspec.UnsetType = msgspec.UNSET
    location: Word | None = None
    device: Word | None = None
    category: Words = ()
    tag: Words = ()
    without_tag: Words = ()
    least_price_cents: Cents | msgspec.UnsetType = msgspec.UNSET
    most_price_cents: Cents | msgspec.UnsetType = msgspec.UNSET
    in_stock: Literal["true", "false"] | msgspec.UnsetType = msgspec.UNSET
    details: Literal["true", "false"] = "false"

    ABOUT: ClassVar[dict[str, str]] = {
        "limit": "How many items at most.",
        "strategy": "Name of a strategy (docs/recommendations.md). Default: that of the settings.",
        "page": "Kind of page that asks: home, product, cart, …",
        "product_id": "The item that is being looked at.",
        "cart": "An item in the cart; may be repeated.",
        "viewed": "An item viewed in this session, newest first; may be repeated.",
        "exclude": "An item that is not to be recommended; may be repeated.",
        "time_ms": "The moment of asking, milliseconds since 1970. Default: now.",
        "location": "Where the customer is. Default: as last seen.",
        "device": "On what. Default: as last seen.",
        "category": "Only items of this category; repeated: of one of them.",
        "tag": "Only items with this tag; repeated: with one of them.",
        "without_tag": "No items with this tag; may be repeated.",
        "least_price_cents": "Only items that cost at least so much.",
        "most_price_cents": "Only items that cost at most so much.",
        "in_stock": "false: with what is out of stock; true: without it, and without what cannot be looked up now. "
        "Default: without what is known to be out of stock.",
        "details": "Whether to add what the catalog says of each item.",
    }


async def recommend(call: Call) -> Recommendations:
    """Items for a customer, known or not. Answers whatever happens behind it."""
    services = call.services
    attention = services.attention()
    passed = True
    if services.gate.locked():
        try:
            async with asyncio.timeout(attention.left_s()):
                await services.gate.acquire()
        except TimeoutError:
            passed = False
            attention.give_up()  # there is no time left to ask Redis: what is known here is enough
    else:
        await services.gate.acquire()
    try:
        return await _recommend(call, attention)
    finally:
        if passed:
            services.gate.release()


async def _recommend(call: Call, attention: Attention) -> Recommendations:
    services, query = call.services, call.query
    request = _request(call.subject, query)
    choice = services.chooser.choose(call.subject, wall_clock_ms(), strategy_given=query.strategy is not None)
    answer: Answer
    about: dict[str, Item] = {}
    try:
        answer = await services.recommender.recommend(request, choice.ranking)
        if query.details == "true":
            about = await _details(services, [item.item_id for item in answer.items])
    except UnknownStrategy as error:
        raise invalid_parameter(Fault("strategy", str(error))) from None
    except Unavailable:
        attention.give_up()
        answer = Answer(items=(), strategy=query.strategy or choice.ranking.strategy, level=STATIC)
    return Recommendations(
        request_id=secrets.token_hex(8),
        variant=choice.label,
        customer_id=call.subject,
        items=answer.items,
        about=about,
        strategy=answer.strategy,
        level=answer.level,
        degraded=services.told(attention, answer.degraded),
    )


async def _details(services: Any, item_ids: list[str]) -> dict[str, Item]:
    try:
        found = await services.source.items(item_ids)
    except Unavailable:
        return {}
    return {item_id: item for item_id, item in zip(item_ids, found, strict=True) if isinstance(item, Item)}


def _request(customer_id: str, query: RecommendationsQuery) -> Request:
    return Request(
        customer_id=customer_id,
        now_ms=query.time_ms if isinstance(query.time_ms, int) else wall_clock_ms(),
        limit=query.limit,
        strategy=query.strategy,
        page=query.page,
        product_id=query.product_id,
        cart=query.cart,
        viewed=query.viewed,
        exclude=query.exclude,
        location=query.location,
        device=query.device,
        filters=Filters(
            categories=query.category,
            tags=query.tag,
            without_tags=query.without_tag,
            least_price_cents=query.least_price_cents if isinstance(query.least_price_cents, int) else None,
            most_price_cents=query.most_price_cents if isinstance(query.most_price_cents, int) else None,
            in_stock=query.in_stock == "true" if isinstance(query.in_stock, str) else None,
        ),
    )


ROUTES = (
    Route(
        "/v1/recommendations/{customer_id}",
        recommend,
        "Items to show to a customer, with reasons. A customer who is not known gets what the context or everybody's "
        "taste gives; while Redis is gone, what this server knows.",
        Recommendations,
        query=RecommendationsQuery,
        subject_about="The customer's id, or an anonymous one.",
    ),
)
