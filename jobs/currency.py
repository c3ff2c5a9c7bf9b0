"""Which currency a log is in, when nobody says: the one that most of its first orders name."""

import re
from collections import Counter
from collections.abc import Iterable
from itertools import islice

from schemas.records import Record

DEFAULT_CURRENCY = "USD"
SAMPLE_RECORDS = 10_000
_CURRENCY = re.compile(rb'"currency"\s*:\s*"([A-Za-z]{3})"')


def currency_of(records: Iterable[Record]) -> str:
    """The most frequent currency among the first records that name one, equal ones by name; USD if none does."""
    found: Counter[str] = Counter()
    for record in islice(records, SAMPLE_RECORDS):
        if record.rejected is None:
            found.update(match.decode().upper() for match in _CURRENCY.findall(record.raw))
    if not found:
        return DEFAULT_CURRENCY
    return min(found, key=lambda name: (-found[name], name))
