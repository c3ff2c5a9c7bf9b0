"""From a query string to checked values, and from the same definition to what OpenAPI says about them.

The parameters of a route are a msgspec Struct: names, types, bounds and defaults stand there, once.
"""

from collections.abc import Mapping
from typing import Annotated, Any
from urllib.parse import unquote_to_bytes

import msgspec

from schemas.decode import ID_MAX_BYTES
from serving.problems import Fault, invalid_parameter

Id = Annotated[str, msgspec.Meta(min_length=1, max_length=ID_MAX_BYTES)]
"""As long as events and the catalog let one be. (They count bytes: of what is longer in bytes alone there is none.)"""
Word = Id
"""A category, a tag, a device, …: labels there are as long as ids."""
MOST_FIELDS = 500

_TUPLE = msgspec.inspect.VarTupleType


class NoQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """No parameters at all."""


class Query:
    """Reads the query strings of one route."""

    def __init__(self, shape: type[msgspec.Struct]) -> None:
        self._shape = shape
        info = msgspec.inspect.type_info(shape)
        assert isinstance(info, msgspec.inspect.StructType)  # noqa: S101  (of our own routes)
        self._fields = {field.encode_name: isinstance(field.type, _TUPLE) for field in info.fields}
        self._required = {field.encode_name for field in info.fields if field.required}
        self._empty = shape() if not self._required else None

    def read(self, text: str) -> Any:
        """The parameters.

        Raises:
            ProblemError: 400, one is unknown, given twice, missing, of the wrong type or out of its bounds.
        """
        if not text and self._empty is not None:
            return self._empty
        values: dict[str, Any] = {}
        for name, value in _pairs(text):
            if name not in self._fields:
                raise invalid_parameter(
                    Fault(_shown(name), f"unknown; there are {', '.join(sorted(self._fields)) or 'none'}")
                )
            if self._fields[name]:
                values.setdefault(name, []).append(value)
            elif name in values:
                raise invalid_parameter(Fault(name, "given twice"))
            else:
                values[name] = value
        try:
            return msgspec.convert(values, self._shape, strict=False)
        except msgspec.ValidationError as error:
            raise _fault(str(error), self._required - values.keys()) from None

    def documented(self) -> list[dict[str, Any]]:
        """The same for OpenAPI."""
        _, components = msgspec.json.schema_components([self._shape])
        schema = components[self._shape.__name__]
        described = _field_documents(self._shape)
        parameters = []
        for name, field in schema.get("properties", {}).items():
            parameter: dict[str, Any] = {"name": name, "in": "query", "required": name in self._required}
            if name in described:
                parameter["description"] = described[name]
            parameters.append(parameter | {"schema": _without_null(field)})
        return parameters


def check_id(text: str, name: str) -> str:
    """An id from a path.

    Raises:
        ProblemError: 400, it is too long, or empty.
    """
    if not text or len(text.encode("utf-8", "surrogateescape")) > ID_MAX_BYTES:
        raise invalid_parameter(Fault(name, f"an id has from 1 to {ID_MAX_BYTES} bytes of UTF-8"))
    return text


def _pairs(text: str) -> list[tuple[str, str]]:
    parts = [part for part in text.split("&") if part]
    if len(parts) > MOST_FIELDS:
        raise invalid_parameter(Fault("query", f"more than {MOST_FIELDS} values"))
    pairs = []
    for part in parts:
        name, _, value = part.partition("=")
        try:
            pairs.append((_unquoted(name), _unquoted(value)))
        except UnicodeDecodeError:
            raise invalid_parameter(Fault("query", "not UTF-8")) from None
    return pairs


def _unquoted(text: str) -> str:
    if "+" in text:
        text = text.replace("+", " ")
    return unquote_to_bytes(text).decode() if "%" in text else text


def _fault(message: str, missing: set[str]) -> Exception:
    what, _, path = message.partition(" - at `$")
    name = path.rstrip("`").lstrip(".").partition("[")[0]
    if not name and missing:
        return invalid_parameter(*(Fault(one, "missing") for one in sorted(missing)))
    return invalid_parameter(Fault(name or "query", what))


def _shown(name: str) -> str:
    return name[:64] if name.isprintable() and name else "query"


def _without_null(schema: dict[str, Any]) -> dict[str, Any]:
    """Without what stands for a parameter that is not given."""
    schema = dict(schema)
    if "anyOf" in schema:
        kinds = [kind for kind in schema["anyOf"] if kind != {"type": "null"}]
        del schema["anyOf"]
        schema |= kinds[0] if len(kinds) == 1 else {"anyOf": kinds}
    if schema.get("default", 0) in (None, [], ()):
        del schema["default"]
    return schema


def _field_documents(shape: type) -> Mapping[str, str]:
    found: Mapping[str, str] = getattr(shape, "ABOUT", {})
    return found
