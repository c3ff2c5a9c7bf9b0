"""What endpoints answer: the bodies, as OpenAPI describes them."""

from typing import Annotated, Any, Literal

import msgspec

from serving.catalog.item import Item
from serving.ranking.request import Recommended

Ms = Annotated[int, msgspec.Meta(description="Milliseconds since 1970-01-01T00:00:00Z, event time.")]
Degraded = Annotated[
    bool, msgspec.Meta(description="Redis was slow or gone: what was known before, or less than there could be.")
]


class Recommendations(msgspec.Struct, frozen=True):
    """Items to show, the first one first."""

    request_id: str
    """Send it back with `recommendation_shown` and `recommendation_clicked`."""
    variant: str | None
    """Of experiments (docs/experiments.md); null: there are none. Send it back as it is, as `variant`."""
    customer_id: str
    items: tuple[Recommended, ...]
    about: dict[str, Item]
    """With details=true: what the catalog says of these items."""
    strategy: str
    level: str
    degraded: Degraded


class Membership(msgspec.Struct, frozen=True):
    """A segment that the customer is in, and why."""

    segment: str
    since_ms: Ms
    description: str | None
    condition: str | None
    """Of the rule file that this server knows; null if the job runs by other rules."""
    why: dict[str, Any]
    """The features that the condition reads, and their values now."""


class Customer(msgspec.Struct, frozen=True):
    """What is known of a customer."""

    customer_id: str
    as_of_ms: Ms
    features: dict[str, Any]
    segments: tuple[Membership, ...]
    learned: dict[str, Any]
    """`cluster` and `scores`, where a population was learned."""
    recent: dict[str, Any]
    degraded: Degraded


class Shown(msgspec.Struct, frozen=True):
    """What to show in a slot."""

    customer_id: str
    slot: str
    name: str | None
    """Of the entry; null: there is nothing to show."""
    fields: dict[str, Any]
    """What the entry shows: kind, title, text, url, image_url, data, as far as it has them."""
    content_version: str | None
    """Of the file; null: this server has none."""
    degraded: Degraded


class SimilarItem(msgspec.Struct, frozen=True):
    """A neighbour of an item."""

    item_id: str
    score: float
    support: int
    """How many sessions or customers it rests on."""


class SimilarItems(msgspec.Struct, frozen=True):
    """The neighbours of an item, best first; none for an item that is not known."""

    item_id: str
    relation: str
    neighbours: tuple[SimilarItem, ...]
    degraded: Degraded


class Segment(msgspec.Struct, frozen=True):
    """A segment, and how many are in it."""

    segment: str
    members: int
    description: str | None


class Segments(msgspec.Struct, frozen=True):
    """All segments that are known."""

    segments: tuple[Segment, ...]
    degraded: Degraded


class Member(msgspec.Struct, frozen=True):
    """A customer in a segment."""

    customer_id: str
    since_ms: Ms


class Members(msgspec.Struct, frozen=True):
    """Members of a segment, by the time of their entry."""

    segment: str
    members: tuple[Member, ...]
    next: str | None
    """Cursor of the next page; null: this was the last."""


class PopularItem(msgspec.Struct, frozen=True):
    """An item that trends."""

    item_id: str
    score: float


class Popular(msgspec.Struct, frozen=True):
    """What trends in a scope, best first; none for a scope that is not known."""

    scope: str
    items: tuple[PopularItem, ...]
    degraded: Degraded


class Taken(msgspec.Struct, frozen=True, omit_defaults=True):
    """What became of one event of a batch."""

    index: int
    """Its place in the batch, from 0."""
    status: Literal["accepted", "rejected"]
    reason: str | None = None
    """Why it was rejected, for machines (docs/events.md)."""
    detail: str | None = None
    """For people."""


class Intake(msgspec.Struct, frozen=True):
    """What became of a batch: accepted events are in Kafka."""

    accepted: int
    rejected: int
    items: tuple[Taken, ...]


class Batch(msgspec.Struct, frozen=True):
    """Events in canonical form (docs/events.md), up to 500."""

    events: Annotated[tuple[msgspec.Raw, ...], msgspec.Meta(min_length=1, max_length=500)]


class Assigned(msgspec.Struct, frozen=True):
    """A customer's variant of an experiment."""

    experiment: str
    variant: str
    parameters: dict[str, Any]
    """What the page is to know of it."""


class Assignments(msgspec.Struct, frozen=True):
    """All of a customer's variants."""

    customer_id: str
    variant: str | None
    """All of them as one text, to be sent with `recommendation_shown` and `recommendation_clicked`; null: none."""
    experiments: tuple[Assigned, ...]
    experiments_version: str | None
    """Of the file; null: this server has none."""


class Defined(msgspec.Struct, frozen=True):
    """An experiment as it is defined."""

    experiment: str
    description: str | None
    running: bool
    group: str | None
    traffic: tuple[float, float]
    """The slice of all customers that is in it."""
    variants: dict[str, int]
    """Each with its share, in parts of their sum; the control first."""


class Definitions(msgspec.Struct, frozen=True):
    """All experiments that this server knows."""

    experiments: tuple[Defined, ...]
    holdout_share: float
    """Of all customers: these are in no experiment."""
    experiments_version: str | None


class Health(msgspec.Struct, frozen=True):
    """That this server runs."""

    status: Literal["ok"] = "ok"


class Ready(msgspec.Struct, frozen=True):
    """That this server can answer, and what it has to do without."""

    status: Literal["ready"]
    degraded: Degraded
    redis: Literal["connected", "gone"]
