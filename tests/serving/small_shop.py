"""A few customers and items in Redis, written as the job writes them."""

from operators.redis_connection import RedisConnection, RedisTarget
from schemas.writes import meta_write, popular_write, profile_tombstone, profile_write, similar_write
from state.rules.ruleset import load_rules

NOW_MS = 1_760_000_000_000
STRANGE = "a/b?c#d%2F é\t😀 .."
"""An id of characters that mean something in a URL."""
SAME_TIME = [f"s-{number:03}" for number in range(120)]
"""Members of `regulars` who entered in one millisecond."""


def fill(url: str, rule_version: str | None = None) -> None:
    """Write it."""
    rule_version = rule_version or load_rules().version
    writes = [profile(f"c-{number}", 1) for number in range(20)]
    writes += [profile(STRANGE, 1), profile_tombstone("gone", 2, NOW_MS, ["regulars"])]
    writes += [profile(name, 1, {"regulars": NOW_MS}) for name in SAME_TIME]
    for relation in ("viewed-with", "bought-with"):
        writes += [
            similar_write(relation, name, 1, NOW_MS, [("p-2", 0.9, 7), ("p-3", 0.5, 3)]) for name in ("p-1", STRANGE)
        ]
    writes += [popular_write("all", f"p-{number}", 1, 100.0 - number) for number in range(30)]
    writes += [popular_write("category:tea/pots", "p-7", 1, 5.0)]
    writes.append(meta_write(NOW_MS, {"rule_version": rule_version, "currency": "EUR"}))
    send(url, *writes)


def profile(customer_id: str, version: int, segments: dict[str, int] | None = None, **features: object) -> bytes:
    """A write of a profile."""
    since = {"frequent-buyers": NOW_MS - 1_000} if segments is None else segments
    body = {"customer_id": customer_id, "features": {"orders_30d": 6, **features}, "segments": since}
    return profile_write(customer_id, version, NOW_MS + version, body, since)


def send(url: str, *writes: bytes) -> None:
    """Apply writes."""
    connection = RedisConnection(RedisTarget(url))
    connection.send(writes)
    connection.close()
