"""Cheaper records in thread mode: an operator gets the fields of a row without a `Row` being built around them.

PyFlink builds a Row of every record only to take field 1 out of it, about a tenth of what a record costs. The
operator that is being opened finds its own converter in the frames below and gives it a shorter way; no other
operator, job or process sees that, and where nothing is found nothing changes.
"""

import sys
from typing import Any

_DEPTH = 8
_CONVERTERS = ("_input_data_converter", "_input_data_converter1", "_input_data_converter2")


def take_plain_rows() -> None:
    """To be called from an operator's `open`. Its inputs must be rows of strings and bytes: they need no conversion."""
    frame = sys._getframe(1)
    for _ in range(_DEPTH):
        owner = frame.f_locals.get("self")
        found = [getattr(owner, name) for name in _CONVERTERS if hasattr(owner, name)]
        for converter in found:
            if type(converter).__name__ == "RowDataConverter":
                converter.to_internal = _fields
        if found or frame.f_back is None:
            return
        frame = frame.f_back


def _fields(value: tuple[Any, tuple[Any, ...]] | None) -> tuple[Any, ...] | None:
    """The fields of (row kind, fields), as pemja hands a row over."""
    return None if value is None else value[1]
