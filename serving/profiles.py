"""How a profile is read, in one place: the only code of the serving layer that knows how one is laid out."""

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from schemas.profiles import ProfileError, merged, unpack_versioned

Profile = Mapping[str, Any]
_encode = msgspec.json.Encoder().encode


class _Features(msgspec.Struct):
    top_categories: list[str] = []
    device: str | None = None
    location: str | None = None


class _Recent(msgspec.Struct):
    viewed: list[tuple[str, int]] = []
    bought: list[tuple[str, int]] = []
    cart: dict[str, int] = {}
    session_ms: int | None = None


_PARTS: Final[dict[str, Any]] = {
    "features": _Features,
    "segments": dict[str, int],
    "recent": _Recent,
    "scores": dict[str, float],
    "cluster": dict[str, Any],
}
"""What is relied on of each part; whatever else there is in it may be anything."""


def whole_profile(own: Profile | None, beside: Profile | None) -> Profile | None:
    """A profile of its two parts: what own facts say, and what all others add; None without the first."""
    return merged(own, beside)


def unpack_profile(packed: bytes | None) -> Profile | None:
    """A part of a profile as it stands in Redis; None: unknown, withdrawn, or nothing that can be read.

    What in it is not laid out as it should be is left out, and the rest is as good as ever.
    """
    try:
        found = unpack_versioned(packed)
    except ProfileError:
        return None
    if found is None or type(found["as_of_ms"]) is not int:
        return None
    for name, layout in _PARTS.items():
        if name in found and not _is(found[name], layout):
            del found[name]
    return found


def _is(part: Any, layout: Any) -> bool:
    try:
        msgspec.convert(part, layout)
    except msgspec.ValidationError:
        return False
    return True


def features(profile: Profile) -> dict[str, Any]:
    """The features that have a value."""
    return _sayable(_map(profile, "features"))


def segments(profile: Profile) -> dict[str, int]:
    """The segments that the customer is in, and since when (ms)."""
    return _map(profile, "segments")


def learned(profile: Profile) -> dict[str, Any]:
    """What is known from the population, where one was learned: `cluster` and `scores`."""
    return _sayable({name: profile[name] for name in ("cluster", "scores") if profile.get(name) is not None})


def recent(profile: Profile) -> dict[str, Any]:
    """What the customer did last: `viewed`, `cart`, `bought`, `session_ms`, as far as it is there."""
    return _sayable(_map(profile, "recent"))


def _sayable(part: dict[str, Any]) -> dict[str, Any]:
    """What of it can be said in JSON, which has less than MessagePack: no types of one's own, and texts as names."""
    if _is_sayable(part):
        return part
    return {name: value for name, value in part.items() if _is_sayable({name: value})}


def _is_sayable(part: dict[str, Any]) -> bool:
    try:
        _encode(part)
    except (TypeError, ValueError, RecursionError):
        return False
    return True


def _map(profile: Profile, name: str) -> dict[str, Any]:
    found = profile.get(name)
    return found if isinstance(found, dict) else {}
