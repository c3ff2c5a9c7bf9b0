"""How a profile is read, in one place: the only code of the serving layer that knows how one is laid out."""

from collections.abc import Mapping
from typing import Any

from schemas.profiles import ProfileError, merged, unpack_versioned

Profile = Mapping[str, Any]


def whole_profile(own: Profile | None, beside: Profile | None) -> Profile | None:
    """A profile of its two parts: what own facts say, and what all others add; None without the first."""
    return merged(own, beside)


def unpack_profile(packed: bytes | None) -> Profile | None:
    """A part of a profile as it stands in Redis; None: unknown, withdrawn, or nothing that can be read."""
    try:
        return unpack_versioned(packed)
    except ProfileError:
        return None


def features(profile: Profile) -> dict[str, Any]:
    """The features that have a value."""
    return _map(profile, "features")


def segments(profile: Profile) -> dict[str, int]:
    """The segments that the customer is in, and since when (ms)."""
    return _map(profile, "segments")


def learned(profile: Profile) -> dict[str, Any]:
    """What is known from the population, where one was learned: `cluster` and `scores`."""
    return {name: profile[name] for name in ("cluster", "scores") if profile.get(name) is not None}


def recent(profile: Profile) -> dict[str, Any]:
    """What the customer did last: `viewed`, `cart`, `bought`, `session_ms`, as far as it is there."""
    return _map(profile, "recent")


def _map(profile: Profile, name: str) -> dict[str, Any]:
    found = profile.get(name)
    return found if isinstance(found, dict) else {}
