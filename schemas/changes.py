"""The segment change: what subscribers read, one JSON object per record."""

import hashlib
from typing import Any, Literal

import msgspec

ENTERED: Literal["entered"] = "entered"
LEFT: Literal["left"] = "left"

CauseKind = Literal["event", "time", "late-event", "refund", "rules", "model", "consent", "erasure"]


class Cause(msgspec.Struct, frozen=True, gc=False):
    """Why a membership changed: which kind of thing happened, and the event that did it (none for passing time)."""

    kind: CauseKind
    event_id: str | None = None


class SegmentChange(msgspec.Struct, frozen=True):
    """A customer entered or left a segment, or (`supersedes`) an earlier record about that was not true.

    A record whose `change` is the opposite of the record that it supersedes takes that one back; one with the same
    `change` replaces it. Applied in order to a map of (customer, segment) -> since_ms, the records always give the
    exact memberships.
    """

    change_id: str
    customer_id: str
    segment: str
    change: Literal["entered", "left"]
    at_ms: int
    since_ms: int
    """When it was entered."""
    cause: Cause
    rule_version: str
    why: dict[str, tuple[Any, Any]]
    """The features that the rule read: value before and after."""
    supersedes: str | None = None


def change_id(*parts: str | int) -> str:
    """A deterministic id: the same change of the same run has the same id, again and again."""
    text = "\x1f".join(map(str, parts)).encode("utf-8", "surrogatepass")
    return hashlib.blake2b(text, digest_size=12).hexdigest()
