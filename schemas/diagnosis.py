"""The slow path of decoding: what exactly was wrong with a record that could not be read."""

import json
import re
from typing import Any, Final

import msgspec

from schemas.rejects import Reason, Rejected

_PATH: Final = re.compile(r"^(?P<what>.*) - at `(?P<path>\$.*)`$", re.DOTALL)
_BRACKETS: Final = re.compile(rb"[\[\]{}]").findall
_STRINGS: Final = re.compile(rb'"(?:[^"\\]|\\.)*"', re.DOTALL).sub
MAX_DEPTH: Final = 256
"""Levels of arrays and objects in a record; what is too short to be checked (`ID_MAX_BYTES`) cannot have more."""
_SURROGATE_START: Final = 0xED
_AMOUNTS: Final = frozenset({"price", "total"})


def explain(raw: bytes, error: Exception) -> Rejected:
    """The rejection for an error that msgspec raised over `raw`."""
    if isinstance(error, msgspec.ValidationError):
        # It was raised at the first field that did not fit; whether the rest is JSON at all comes first.
        try:
            msgspec.json.decode(raw, type=msgspec.Raw)
        except msgspec.ValidationError:
            return _invalid(str(error))
        except (msgspec.MsgspecError, ValueError, RecursionError) as fault:
            return explain(raw, fault)
        return _invalid(str(error))
    if isinstance(error, UnicodeDecodeError):
        return invalid_utf8(raw) or Rejected(Reason.INVALID_UTF8, str(error))
    if isinstance(error, RecursionError):
        return too_deep()
    if not raw.strip():
        return Rejected(Reason.MALFORMED_JSON, "the record is empty")
    if has_lone_surrogate(raw):
        return Rejected(Reason.INVALID_UNICODE, "a \\u escape stands for half a character (a lone surrogate)")
    return Rejected(Reason.MALFORMED_JSON, str(error))


def invalid_utf8(raw: bytes) -> Rejected | None:
    """The rejection for bytes that are not UTF-8, None if they are."""
    try:
        raw.decode("utf-8")
    except UnicodeDecodeError as error:
        where = f"at byte {error.start}"
        rest = raw[error.start : error.start + 2]
        # UTF-8 of a code point D800–DFFF, which some old encoders write
        if len(rest) == 2 and rest[0] == _SURROGATE_START and rest[1] & 0xE0 == 0xA0:
            return Rejected(Reason.INVALID_UNICODE, f"{where}: half a character (a lone surrogate)")
        return Rejected(Reason.INVALID_UTF8, f"{where}: {error.reason}")
    return None


def too_deep() -> Rejected:
    """The rejection for a record of too many levels."""
    return Rejected(Reason.MALFORMED_JSON, f"nested too deeply; at most {MAX_DEPTH} levels are allowed")


def is_too_deep(raw: bytes) -> bool:
    """Whether arrays and objects lie in each other deeper than `MAX_DEPTH`.

    The parser's own bound depends on the stack it is called from, which would make the outcome depend on the caller.
    """
    if raw.count(b"[") + raw.count(b"{") <= MAX_DEPTH:
        return False
    depth = 0
    for bracket in _BRACKETS(_STRINGS(b"", raw)):
        depth += 1 if bracket in b"[{" else -1
        if depth > MAX_DEPTH:
            return True
    return False


def has_lone_surrogate(raw: bytes) -> bool:
    """Whether this is JSON whose only fault may be an escape that stands for half a character."""
    try:
        json.dumps(json.loads(raw), ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError:
        return True
    except (ValueError, RecursionError):
        return False
    return False


def _invalid(message: str) -> Rejected:
    """The rejection for a msgspec message such as ``Expected `int`, got `str` - at `$.products[0].quantity` ``."""
    match = _PATH.match(message)
    what, path = (match["what"], match["path"]) if match else (message, "$")
    detail = f"{path}: {what}"
    if what.startswith("Object missing required field"):
        return Rejected(Reason.MISSING_FIELD, detail)
    if path == "$":
        return Rejected(Reason.NOT_AN_OBJECT if "`object`" in what else Reason.WRONG_TYPE, detail)
    field = path.rpartition(".")[2]
    if field == "type" and path == "$.type":
        return Rejected(Reason.UNKNOWN_TYPE if what.startswith("Invalid value") else Reason.WRONG_TYPE, detail)
    if path in ("$.timestamp", "$.received_at"):
        return Rejected(Reason.INVALID_TIMESTAMP, detail)
    if field == "quantity" and "out of range" in what:
        return Rejected(Reason.INVALID_QUANTITY, detail)
    if field in _AMOUNTS and what.startswith("Invalid decimal"):
        return Rejected(Reason.INVALID_AMOUNT, detail)
    return Rejected(Reason.WRONG_TYPE, detail)


def type_of(value: Any) -> str:
    """What JSON calls the type of a decoded value."""
    match value:
        case None:
            return "null"
        case bool():
            return "boolean"
        case str():
            return "string"
        case dict():
            return "object"
        case list():
            return "array"
        case _:
            return "number"
