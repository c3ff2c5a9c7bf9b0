"""POST /v1/events and GET /v1/changes: into Kafka and out of it."""

from collections.abc import Awaitable, Callable
from typing import Annotated, ClassVar, Literal

import msgspec

from serving.api_keys import Scope
from serving.change_feed import FeedError
from serving.change_position import parse_position
from serving.event_source import EVENT_STREAM
from serving.intake import NotDelivered
from serving.parameters import Word
from serving.problems import (
    Fault,
    invalid_parameter,
    malformed_body,
    too_many_streams,
    unavailable,
    unusable_body,
    wrong_media_type,
)
from serving.replies import Batch, Intake
from serving.routes import JSON, Call, Reply, Route

RESUME = "last-event-id"
_decode_batch = msgspec.json.Decoder(Batch).decode


class ChangesQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which changes."""

    segment: Annotated[tuple[Word, ...], msgspec.Meta(max_length=100)] = ()
    starting: Literal["latest", "earliest"] = "latest"
    ABOUT: ClassVar[dict[str, str]] = {
        "segment": "Only changes of this segment; may be repeated.",
        "starting": "Where a stream without a Last-Event-ID begins: now, or at the beginning of the topic.",
    }


async def take(call: Call) -> Intake:
    """A batch of events."""
    services = call.services
    if services.events is None:
        raise unavailable("this server was started without Kafka", 60)
    if (call.header("content-type") or "").partition(";")[0].strip().lower() != JSON:
        raise wrong_media_type()
    batch = _batch(await call.body(), services.settings.max_events)
    try:
        intake = await services.events.take(batch.events)
    except NotDelivered as error:
        raise unavailable(f"{error}; send the whole batch again: what has arrived is known by its event_id") from None
    services.metrics.add("events_accepted", intake.accepted)
    services.metrics.add("events_rejected", intake.rejected)
    if not intake.accepted:
        first = intake.items[0]
        raise unusable_body(Fault(f"$.events[{first.index}]", f"{first.reason}: {first.detail}"), items=intake.items)
    return intake


async def changes(call: Call) -> Reply:
    """Segment changes as they come."""
    services, query = call.services, call.query
    position = None
    if call.has_header(RESUME):
        try:
            position = parse_position(call.header(RESUME) or "")
        except ValueError as error:
            raise invalid_parameter(Fault("Last-Event-ID", str(error))) from None
    feed = services.changes
    if feed is None:
        raise unavailable("this server was started without Kafka", 60)
    if feed.full:
        raise unavailable("as many streams as this server takes are open", 5)
    if feed.has_enough(call.key.name):
        raise too_many_streams()
    try:
        stream = await feed.open(call.key.name, position, query.starting == "earliest")
    except FeedError as error:
        raise unavailable(f"Kafka: {error}", 5) from None
    segments = frozenset(query.segment)

    async def run(send: Callable[[bytes], Awaitable[None]]) -> None:
        await feed.run(stream, segments, send)

    return Reply(media_type=EVENT_STREAM, stream=run, headers=(("x-accel-buffering", "no"),))


def _batch(body: bytes, most: int) -> Batch:
    try:
        batch = _decode_batch(body)
    except msgspec.ValidationError as error:
        what, _, path = str(error).partition(" - at `")
        raise unusable_body(Fault(path.rstrip("`") or "$", what)) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise malformed_body(f"not JSON: {error}"[:200]) from None
    if not 1 <= len(batch.events) <= most:
        raise unusable_body(Fault("$.events", f"from 1 to {most} events a batch; these are {len(batch.events):,}"))
    return batch


ROUTES = (
    Route(
        "/v1/events",
        take,
        "Takes a batch of events in canonical form (docs/events.md). Each is checked as the job does it; those that "
        "are accepted are in Kafka when the answer comes.",
        Intake,
        method="POST",
        scope=Scope.INGEST,
        body=Batch,
        problems=(400, 413, 415, 422, 503),
    ),
    Route(
        "/v1/changes",
        changes,
        "Segment changes as server-sent events, each as in the topic (docs/outputs.md#segment-changes). A client that "
        "sends the id of the last event as Last-Event-ID goes on behind it; what is missing there is told by an event "
        "`gap`. In place of 429 and 503 a request that accepts nothing but text/event-stream gets 200 and one event, "
        "`unavailable`, with the problem: an EventSource comes again after it.",
        None,
        query=ChangesQuery,
        problems=(503,),
        media_type=EVENT_STREAM,
    ),
)
