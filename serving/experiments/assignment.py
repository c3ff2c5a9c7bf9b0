"""Who gets which variant: a function of the customer's id and the definition, with nothing kept anywhere.

Every worker, every server and every page that asks gets the same answer, now and later. Three independent hashes of an
id, each with a salt of its own, decide:

- whether the customer is held out of all experiments,
- whether the customer is in the experiment: its slice of [0, 1). Experiments of one group share the salt and have
  slices that do not overlap, so nobody is in two of them. A slice that grows takes nobody out.
- the variant, by weighted rendezvous hashing (Thaler, Ravishankar 1998; weights by the logarithmic method of
  Schindelhauer, Schomaker 2005): the largest of share / -ln(hash). A customer moves only if the shares force it, from a
  variant whose part became smaller to one whose part became larger; with contiguous ranges, a change of the first share
  moves customers between all others.
"""

from collections.abc import Mapping
from functools import lru_cache
from hashlib import blake2b
from math import log
from typing import Final

from schemas.variant_label import HOLDOUT, Arm
from serving.experiments.definitions import Experiment, Experiments, Factor

_BITS: Final = 52
"""Of a hash: a double holds it and a half beside it, so it is never 0 and never 1."""
HELD_OUT, NOT_HELD_OUT = "held-out", "others"
_PARTS: Final = 10_000
"""In which the shares of the holdout are written."""


def hashed(salt: str, customer_id: str) -> float:
    """An id's place in (0, 1), evenly distributed, and independent for every salt."""
    digest = blake2b(f"{salt}\x00{customer_id}".encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return ((int.from_bytes(digest, "big") >> (64 - _BITS)) + 0.5) / (1 << _BITS)


def arms(known: Experiments, customer_id: str, now_ms: int) -> tuple[Arm, ...]:
    """The variants that a customer gets of all experiments that run now."""
    found: list[Arm] = []
    if known.holdout_share:
        held = hashed(known.holdout_salt, customer_id) < known.holdout_share
        found.append(_holdout_arm(known.holdout_share, held))
        if held:
            return tuple(found)
    running = (experiment for experiment in known.experiments if experiment.runs(now_ms))
    found.extend(arm for experiment in running if (arm := arm_of(experiment, customer_id)) is not None)
    return tuple(found)


@lru_cache(maxsize=64)
def _holdout_arm(share: float, held: bool) -> Arm:
    part = max(1, min(_PARTS - 1, round(share * _PARTS)))
    name = HELD_OUT if held else NOT_HELD_OUT
    return Arm(HOLDOUT, name, 1 if held else 2, f"{part}:{_PARTS - part}")


def arm_of(experiment: Experiment, customer_id: str) -> Arm | None:
    """The variant of one experiment; None: the customer is not in it."""
    first, until = experiment.traffic
    if (first, until) != (0.0, 1.0) and not first <= hashed(experiment.traffic_salt, customer_id) < until:
        return None
    chosen = tuple(_level(experiment, factor, customer_id) for factor in experiment.factors)
    place = experiment.place_of[chosen]
    return Arm(experiment.name, "+".join(chosen), place, experiment.shares)


def _level(experiment: Experiment, factor: Factor, customer_id: str) -> str:
    salt = f"{experiment.salt}/{factor.name}"
    return max(factor.shares, key=lambda level: _score(factor.shares, salt, level, customer_id))


def _score(shares: Mapping[str, int], salt: str, level: str, customer_id: str) -> tuple[float, str]:
    return shares[level] / -log(hashed(f"{salt}/{level}", customer_id)), level
