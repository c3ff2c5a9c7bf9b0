"""One answer to one question, for one customer."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from state.population.percentiles import Percentiles, rfm_scorer
from state.population.questions import Published, answerer
from state.rules.tree import Asked


class Customer(NamedTuple):
    values: Mapping[str, Any]
    as_of_ms: int


def answer(asked: Asked, published: Published, values: Mapping[str, Any], at_ms: int) -> Any:
    found = answerer(asked, published)
    return None if found is None else found(Customer(values, at_ms))


def rfm_score(score: str, fifths: Percentiles | None, value: Any, at_ms: int) -> int | None:
    return None if fifths is None else rfm_scorer(score, fifths)(value, at_ms)
