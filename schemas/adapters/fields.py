"""What the adapters share: reading foreign JSON without losing a digit, and writing canonical JSON.

An adapter renames and reshapes; it does not judge values. A value of the wrong type is handed on as it is, so that
decoding rejects it with the same reason as in a canonical log.
"""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, TypeAlias

import msgspec

from schemas import diagnosis
from schemas.rejects import Reason, Rejected

Converted: TypeAlias = list[bytes | Rejected]
"""What one foreign record became: canonical events, or rejections, in its own order; never empty."""

_decode = msgspec.json.Decoder(dict[str, Any], float_hook=Decimal).decode
_encode = msgspec.json.Encoder(decimal_format="number").encode


def load(raw: bytes) -> dict[str, Any]:
    """A foreign record, its numbers with a point as exact decimals.

    Raises:
        Rejected: it is not a JSON object in UTF-8.
    """
    try:
        document = _decode(raw)
    except (msgspec.MsgspecError, ValueError, RecursionError, ArithmeticError) as error:
        raise (diagnosis.invalid_utf8(raw) or diagnosis.explain(raw, error)) from None
    if not raw.isascii() and (rejected := diagnosis.invalid_utf8(raw)):
        raise rejected
    if diagnosis.is_too_deep(raw):
        raise diagnosis.too_deep()
    return document


def dump(event: Mapping[str, Any]) -> bytes:
    """Canonical JSON of an event; fields that are None are left out, also inside `context`."""
    return _encode({name: value for name, value in event.items() if value is not None})


def part(document: Mapping[str, Any], name: str) -> dict[str, Any]:
    """The object under that name, an empty one if there is none."""
    value = document.get(name)
    return value if isinstance(value, dict) else {}


def objects(document: Mapping[str, Any], name: str) -> list[dict[str, Any]] | None:
    """The objects of the list under that name; None without a list.

    Raises:
        Rejected: the list holds something else.
    """
    value = document.get(name)
    if not isinstance(value, list):
        return None
    for index, item in enumerate(value):
        if not isinstance(item, dict):
            raise Rejected(Reason.WRONG_TYPE, f"$.{name}[{index}]: Expected `object`, got `{diagnosis.type_of(item)}`")
    return value


def first(document: Mapping[str, Any], *names: str) -> Any:
    """The first value of these that is there and not empty."""
    for name in names:
        value = document.get(name)
        if value is not None and value != "":
            return value
    return None


def identifier(value: Any) -> Any:
    """An id as text: many systems write theirs as numbers."""
    return str(value) if value.__class__ is int else value


def label(value: Any) -> str | None:
    """A label of the context; what is not a text is left out, as labels are not worth an event."""
    return value if isinstance(value, str) and value else None


def quantity(value: Any) -> Any:
    """A whole number of units, also where it was written as text or with a point; anything else unchanged."""
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= 20:
        return int(value)
    if isinstance(value, Decimal) and abs(value) < 10**15 and value == value.to_integral_value():
        return int(value)
    return None if value == "" else value


def context(device: Any, location: Any, channel: Any) -> dict[str, str] | None:
    """The context of an event; None if nothing is known."""
    known = {"device": label(device), "location": label(location), "channel": label(channel)}
    return {name: value for name, value in known.items() if value} or None
