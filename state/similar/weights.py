"""How much an interaction weighs: forward decay in integers.

Forward decay (Cormode, Shkapenyuk, Srivastava, Xu: "Forward Decay: A Practical Time Decay Model for Streaming
Systems", ICDE 2009) lets the weight of an interaction *grow* with its time, measured from a fixed landmark, instead of
shrinking with its age. As of any moment the two differ by one factor common to all interactions, which every ratio
cancels; so a weight never changes once given, sums need no upkeep, and what was added can be subtracted again.

With half-life H and the Unix epoch as landmark, the weight of time t is 2^(t/H), kept as the integer

    mantissa << exponent,   exponent = floor(t / H),   mantissa = floor(2^(12 + i/2048)),  i = floor(2048 * frac(t / H))

so 4096 <= mantissa < 8192, off by less than 0.06 % from the exact power, and the same on every machine: no float is
involved. An absolute weight may have hundreds of bits; sums are therefore kept relative to a *base* exponent.
"""

from functools import lru_cache
from math import isqrt
from typing import Final

MANTISSA_BITS: Final = 12
STEPS_BITS: Final = 11
STEPS: Final = 1 << STEPS_BITS
_GUARD_BITS: Final = 512


def _mantissas() -> tuple[int, ...]:
    """floor(2^(12 + i/2048)) for i in 0..2047, in integer arithmetic with 512 bits after the point."""
    root = 2 << _GUARD_BITS
    for _ in range(STEPS_BITS):
        root = isqrt(root << _GUARD_BITS)
    power = 1 << _GUARD_BITS
    table = []
    for _ in range(STEPS):
        table.append(power >> (_GUARD_BITS - MANTISSA_BITS))
        power = (power * root) >> _GUARD_BITS
    return tuple(table)


MANTISSAS: Final = _mantissas()


@lru_cache(maxsize=8192)
def weight(time_ms: int, half_life_ms: int) -> tuple[int, int]:
    """Mantissa and exponent of the weight of an interaction at `time_ms`; the weight is mantissa << exponent."""
    exponent, into_ms = divmod(time_ms, half_life_ms)
    return MANTISSAS[(into_ms << STEPS_BITS) // half_life_ms], exponent
