"""GET /v1/segments and GET /v1/segments/{name}/members."""

from typing import Annotated, ClassVar

import msgspec

from serving.problems import Fault, invalid_parameter, unavailable
from serving.redis_link import Unavailable
from serving.replies import Member, Members, Segment, Segments
from serving.routes import Call, Route
from serving.segment_pages import CursorError, decode_cursor, encode_cursor

MOST_MEMBERS = 1_000


class MembersQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which page."""

    limit: Annotated[int, msgspec.Meta(ge=1, le=MOST_MEMBERS)] = 100
    cursor: Annotated[str, msgspec.Meta(min_length=1, max_length=2_000)] | None = None
    ABOUT: ClassVar[dict[str, str]] = {
        "limit": "How many members at most.",
        "cursor": "`next` of the page before. Default: the first page.",
    }


async def segments(call: Call) -> Segments:
    """All segments."""
    services = call.services
    attention = services.attention()
    try:
        counts = await services.segments.counts()
    except Unavailable:
        raise unavailable("Redis cannot be asked now, and segments were not counted before") from None
    rules = await services.segments.rules_in_force()
    listed = (
        Segment(name, count, rules[name].description if name in rules else None) for name, count in counts.items()
    )
    return Segments(tuple(listed), services.told(attention))


async def members(call: Call) -> Members:
    """A page of members."""
    services, query = call.services, call.query
    services.attention()
    try:
        after = decode_cursor(query.cursor, call.subject) if query.cursor is not None else None
    except CursorError as error:
        raise invalid_parameter(Fault("cursor", str(error))) from None
    try:
        page = await services.segments.members(call.subject, query.limit + 1, after)
    except Unavailable:
        raise unavailable("Redis cannot be asked now") from None
    shown = page[: query.limit]
    following = encode_cursor(call.subject, *shown[-1]) if len(page) > len(shown) else None
    listed = (Member(customer.decode("utf-8", "replace"), since_ms) for customer, since_ms in shown)
    return Members(call.subject, tuple(listed), following)


ROUTES = (
    Route(
        "/v1/segments",
        segments,
        "All segments that are known, and how many are in each.",
        Segments,
        problems=(503,),
    ),
    Route(
        "/v1/segments/{name}/members",
        members,
        "Members of a segment by the time of entry, page by page; none of a segment that is not known. Who is in it "
        "from the first page to the last is seen once.",
        Members,
        query=MembersQuery,
        problems=(503,),
        subject_about="Name of the segment.",
    ),
)
