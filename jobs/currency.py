"""Which currency a log is in, when nobody says: the one that most of its first events name."""

import re
from collections import Counter
from itertools import islice

from schemas.logs import Log

DEFAULT_CURRENCY = "USD"
SAMPLE_RECORDS = 10_000
"""So many records are looked at in all, and at least `LEAST_RECORDS` at the beginning of each file."""
LEAST_RECORDS = 100
_CURRENCY = re.compile(rb'"currency"\s*:\s*"([A-Za-z]{3})"')


def currency_of(log: Log) -> str:
    """The most frequent currency at the beginnings of the files, equal ones by name; USD if none is named.

    Raises:
        LogError: a file cannot be read.
    """
    found: Counter[str] = Counter()
    each = max(LEAST_RECORDS, SAMPLE_RECORDS // len(log.files))  # of all files: their order shall not matter
    for file in log.files:
        for record in islice(log.records(file), each):
            if record.rejected is None:
                found.update(match.decode().upper() for match in _CURRENCY.findall(record.raw))
    if not found:
        return DEFAULT_CURRENCY
    return min(found, key=lambda name: (-found[name], name))
