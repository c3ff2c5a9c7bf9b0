"""How an experiment stands, judged by what its definition says: with which variant as the control, and as planned."""

from collections.abc import Mapping
from typing import Any

from msgspec.structs import replace

from serving.experiments.definitions import Experiments
from state.experiments.logic import read_body
from state.experiments.report import ExperimentReport, report
from state.experiments.sequential import SequentialSettings
from state.experiments.tally import EVERYBODY, Tally


def standing(
    name: str,
    value: Mapping[str, Any],
    known: Experiments,
    *,
    tally: Tally | None = None,
    control: str | None = None,
    segment: str = EVERYBODY,
    alpha: float = 0.05,
) -> ExperimentReport:
    """Work it out.

    Args:
        name: of the experiment; it need not be a defined one.
        value: what the job wrote of it.
        known: all definitions.
        tally: what `value` says, if it was read already.
        control: with what the others are compared; None: the first variant of its definition.
        segment: of customers; EVERYBODY: all.
        alpha: as in `SequentialSettings`.

    Raises:
        ValueError: `alpha` is not above 0 and below 1.
    """
    defined = known.named(name)
    if control is None and defined is not None:
        control = defined.variants[0]
    planned = known.planned(name)
    settings = SequentialSettings(alpha=alpha)
    if planned is not None:
        settings = SequentialSettings(alpha=alpha, tightest_at_customers=2 * planned)
    sums = read_body(value) if tally is None else tally
    found = report(name, value["as_of_ms"], sums, control=control, segment=segment, sequential=settings)
    return replace(found, defined=known.defines(name))
