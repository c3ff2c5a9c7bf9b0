"""GET /v1/content/{customer_id}: the banner or message for a place on a page."""

from typing import ClassVar

import msgspec

from schemas.decode import wall_clock_ms
from serving.parameters import Word
from serving.ranking.source import Incomplete
from serving.redis_link import Unavailable
from serving.replies import Shown
from serving.routes import Call, Route


class ContentQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which place."""

    slot: Word
    ABOUT: ClassVar[dict[str, str]] = {"slot": "The place on the page, as the file of content names it."}


async def content(call: Call) -> Shown:
    """What a customer, known or not, sees in a slot now. Answers whatever happens behind it."""
    services, slot = call.services, call.query.slot
    attention = services.attention()
    profile, read = None, True
    try:
        profile = await services.source.profile(call.subject)
        read = not isinstance(profile, Incomplete)
    except Unavailable:
        read = False
    known = services.content
    entry = None if known is None else known.choose(slot, profile, wall_clock_ms(), profile_read=read)
    return Shown(
        customer_id=call.subject,
        slot=slot,
        name=None if entry is None else entry.name,
        fields={} if entry is None else dict(entry.fields),
        content_version=None if known is None else known.version,
        degraded=services.told(attention, not read),
    )


ROUTES = (
    Route(
        "/v1/content/{customer_id}",
        content,
        "The banner or message for a customer in a slot: of the file of content (docs/recommendations.md), the first "
        "entry whose condition holds. `name` is null if there is none.",
        Shown,
        query=ContentQuery,
        subject_about="The customer's id, or an anonymous one.",
    ),
)
