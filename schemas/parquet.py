"""Rows of Parquet files as JSON objects, one batch of rows in memory at a time."""

from collections.abc import Callable, Iterator
from math import isnan
from pathlib import Path
from typing import Any, Final

import msgspec

from schemas.records import LogError

BATCH_ROWS: Final = 4_096
_MAX_EXACT: Final = float(1 << 53)

_encode = msgspec.json.Encoder(decimal_format="number").encode


def read_rows(path: Path, on_read: Callable[[int], None]) -> Iterator[tuple[int, bytes]]:
    """Every row with its number from 1. `on_read` is told the share of the file's bytes that the rows so far make up.

    Timestamps become epoch milliseconds (cut off; without a zone they are taken as UTC), decimals stay exact, fields
    that are null or NaN are left out, and floats that are whole numbers are written as such (a column of integers
    that has gaps is often stored as floats).

    Raises:
        LogError: not a Parquet file, or damaged.
    """
    import pyarrow as pa  # slow to import, and seldom needed
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            number, rows, size = 0, max(file.metadata.num_rows, 1), path.stat().st_size
            for batch in file.iter_batches(batch_size=BATCH_ROWS):
                for row in _with_epoch_ms(pa, batch).to_pylist():
                    number += 1
                    yield number, _encode(_cleaned(row))
                on_read(size * number // rows)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise LogError(f"{path}: not a readable Parquet file ({error}); write it again") from error


def _with_epoch_ms(pa: Any, batch: Any) -> Any:
    columns = []
    for index, field in enumerate(batch.schema):
        column = batch.column(index)
        if pa.types.is_timestamp(field.type):
            column = column.cast(pa.timestamp("ms", field.type.tz), safe=False).cast(pa.int64())
        columns.append(column)
    return pa.RecordBatch.from_arrays(columns, names=batch.schema.names)


def _cleaned(value: Any) -> Any:
    """The value without fields that hold nothing; lists of pairs are what maps come as."""
    if isinstance(value, dict):
        return {name: _cleaned(item) for name, item in value.items() if item is not None and not _is_nan(item)}
    if isinstance(value, list):
        if value and all(isinstance(item, tuple) for item in value):
            return {str(name): _cleaned(item) for name, item in value}
        return [_cleaned(item) for item in value]
    if isinstance(value, float) and value.is_integer() and abs(value) <= _MAX_EXACT:
        return int(value)
    return value.decode("utf-8", "backslashreplace") if isinstance(value, bytes) else value


def _is_nan(value: Any) -> bool:
    return isinstance(value, float) and isnan(value)
