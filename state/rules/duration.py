"""Durations as rule files write them: `30m`, `12h`, `1d`."""

import re
from typing import Final

UNITS_MS: Final = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
MAX_DAYS: Final = 3_650
_PATTERN: Final = re.compile(r"([0-9]{1,15})\s*(ms|s|m|h|d)")


def parse_duration_ms(text: str) -> int:
    """Milliseconds of a duration such as `90s` or `1d`.

    Raises:
        ValueError: it is written in another way, or is longer than ten years.
    """
    match = _PATTERN.fullmatch(text.strip())
    if match is None:
        raise ValueError(f'"{text[:40]}" is no duration: write a whole number and ms, s, m, h or d, such as "1d"')
    duration_ms = int(match[1]) * UNITS_MS[match[2]]
    if duration_ms > MAX_DAYS * UNITS_MS["d"]:
        raise ValueError(f'"{text[:40]}" is longer than {MAX_DAYS} days')
    return duration_ms
