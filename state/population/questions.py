"""What rules ask the population, and what it answers for one customer.

==============================  ======================  ===========================================
in a rule                       is asked of             answer
==============================  ======================  ===========================================
``percentile(feature, 80)``     who has the feature     the threshold, in the feature's unit
``quartile(feature)``           who has the feature     1 to 4; absent without the feature
``rfm_recency``                 who ever ordered        1 to 5, 5 for the latest; 1 without an order
``rfm_frequency``               who ever ordered        1 to 5; 1 without an order
``rfm_monetary``                whose revenue is above  1 to 5; 1 without revenue
                                zero
==============================  ======================  ===========================================

All are absent until there is something published; a comparison with what is absent is false.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, Protocol, TypeAlias

from state.population.percentiles import FIFTHS, QUARTERS, RFM, Percentiles, rfm_question, rfm_scorer
from state.population.refusal import PopulationError
from state.population.scales import Number
from state.rules.tree import Asked

Key: TypeAlias = tuple[str, bool]
"""A feature, and whether of positive values only."""


class Published(Protocol):
    """Who knows what is in force."""

    def in_force(self, feature: str, *, positive: bool) -> Percentiles | None: ...


class Seen(Protocol):
    """A customer."""

    @property
    def values(self) -> Mapping[str, Any]: ...
    @property
    def as_of_ms(self) -> int: ...


ANSWERED: Final = ("percentile", "quartile", *RFM)
"""The functions that percentiles can answer; `cluster` is not among them."""


def questions(asked: Iterable[Asked]) -> dict[Key, tuple[Number, ...]]:
    """The points that have to be published, by feature: what `percentiles_of` takes. Others' questions are left out."""
    points: dict[Key, set[Number]] = {}
    for one in asked:
        if one.function in ANSWERED:
            key, wanted = _wanted(one)
            points.setdefault(key, set()).update(wanted)
    return {key: tuple(sorted(points[key])) for key in sorted(points)}


def with_scores(asked: Iterable[Asked]) -> dict[Key, tuple[Number, ...]]:
    """The same with what RFM scores need, which every profile has."""
    return questions((*asked, *(Asked(name, ()) for name in RFM)))


def counted(asked: Iterable[Asked]) -> set[str]:
    """The features whose values have to be counted for all that."""
    return {feature for feature, _ in with_scores(asked)}


def key_of(asked: Asked) -> Key:
    """Which percentiles a question is about.

    Raises:
        PopulationError: it is about none.
    """
    return _wanted(asked)[0]


def answerer(asked: Asked, published: Published) -> Callable[[Seen], Number | None] | None:
    """A function that answers for a customer; None while what it needs has not been published.

    Raises:
        PopulationError: it is no question for percentiles; and by the function, if a value cannot be counted.
    """
    (feature, positive), points = _wanted(asked)
    percentiles = published.in_force(feature, positive=positive)
    if percentiles is None or not percentiles.has(points):  # rules may ask anew of a feature that is known
        return None
    if asked.function in RFM:
        score = rfm_scorer(asked.function, percentiles)
        return lambda seen: score(seen.values.get(feature), seen.as_of_ms)
    if asked.function == "quartile":
        passed = percentiles.passed(QUARTERS)
        return lambda seen: None if (value := seen.values.get(feature)) is None else 1 + passed(value, seen.as_of_ms)
    if not percentiles.ages:
        threshold = percentiles.percentile(points[0])
        return lambda seen: threshold
    return lambda seen: percentiles.percentile(points[0], seen.as_of_ms)


def _wanted(asked: Asked) -> tuple[Key, tuple[Number, ...]]:
    if asked.function in RFM:
        return rfm_question(asked.function), FIFTHS
    if asked.function not in ANSWERED:
        raise PopulationError(f"{asked.function}() is no question about percentiles")
    points = QUARTERS if asked.function == "quartile" else (_point(asked),)
    return (str(asked.args[0]), False), points


def _point(asked: Asked) -> Number:
    point = asked.args[1]
    if isinstance(point, str):
        raise PopulationError(f"the rank of percentile() is {point!r}, no number")
    return point
