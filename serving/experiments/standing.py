"""How an experiment stands, judged by what its definition says: with which variant as the control, and as planned."""

from collections.abc import Iterable
from typing import Final

from msgspec.structs import replace

from serving.experiments.definitions import Experiments
from serving.experiments.stored import Stored
from state.experiments.report import ExperimentReport, report
from state.experiments.sequential import SequentialSettings
from state.experiments.tally import EVERYBODY

MOST_NAMED: Final = 20
"""Segments and variants in a message; labels may make up thousands."""


class NotShown(LookupError):  # noqa: N818  (names what nobody was shown)
    """There are no customers of the segment, or none of them was shown the variant, that was asked for."""

    def __init__(self, part: str, name: str, known: Iterable[str]) -> None:
        """`part`: segment or variant; `known`: names of those that there are."""
        listed = sorted(known)
        more = f" and {len(listed) - MOST_NAMED:,} more" if len(listed) > MOST_NAMED else ""
        self.part, self.name = part, name
        self.there = (", ".join(listed[:MOST_NAMED]) or "none") + more
        """Those that there are, in words."""
        super().__init__(f"nobody of this {part} was shown anything of the experiment; there are {self.there}")


def standing(
    name: str,
    stored: Stored,
    known: Experiments,
    *,
    control: str | None = None,
    segment: str | None = None,
    alpha: float = 0.05,
) -> ExperimentReport:
    """Work it out.

    Args:
        name: of the experiment; it need not be a defined one.
        stored: what the job wrote of it.
        known: all definitions.
        control: with what the others are compared; None: the first variant of its definition.
        segment: of customers; None: all.
        alpha: as in `SequentialSettings`.

    Raises:
        NotShown: no customers are in `segment`, or none of those in it is counted for `control`.
        ValueError: `alpha` is not above 0 and below 1.
    """
    cells = stored.tally.cells
    segments = {cell.segment for cell in cells} - {EVERYBODY}
    if segment is not None and segment not in segments:
        raise NotShown("segment", segment, segments)
    counted = EVERYBODY if segment is None else segment
    variants = {cell.variant for cell in cells if cell.segment == counted}
    if control is not None and control not in variants:
        raise NotShown("variant", control, variants)
    defined = known.named(name)
    if control is None and defined is not None:
        control = defined.variants[0]
    planned = known.planned(name)
    settings = SequentialSettings(alpha=alpha)
    if planned is not None:
        settings = SequentialSettings(alpha=alpha, tightest_at_customers=2 * planned)
    as_of_ms = stored.value["as_of_ms"]
    found = report(name, as_of_ms, stored.tally, control=control, segment=counted, sequential=settings)
    return replace(found, defined=known.defines(name))
