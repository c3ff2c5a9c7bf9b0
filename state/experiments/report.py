"""How an experiment stands: every variant beside the control, in every metric, and whether the shares were kept."""

from collections import defaultdict
from collections.abc import Mapping
from typing import Final

import msgspec

from schemas.variant_label import parts_of
from state.experiments.estimates import METRICS
from state.experiments.sample_ratio import SampleRatioSettings, Shared, sample_ratio
from state.experiments.sequential import Comparison, SequentialSettings, compare_variants
from state.experiments.sums import Sums, merged
from state.experiments.tally import EVERYBODY, Tally

MISMATCH: Final = "mismatch"
"""The verdict of a ratio, and then of every comparison: whatever the numbers say, it may come of who is missing."""
_NO_PLACE: Final = 1_000
"""Behind all that a label can say."""


class Compared(msgspec.Struct, frozen=True):
    """A variant beside the control in one metric. What there is too little of to be said is null."""

    metric: str
    verdict: str
    """`better`, `worse`, `no difference seen yet` or `too few`; `mismatch` if the shares of traffic were not kept."""
    reason: str
    control: float | None
    """The control's value, and ..."""
    variant: float | None
    """... that of the variant: averaged over times of equal shares, as the difference is."""
    difference: float | None
    low: float | None
    """Bounds of the difference: at any time, however often one looks."""
    high: float | None
    lift: float | None
    """Difference over the control's value: 0.1 is 10 % more."""
    lift_low: float | None
    lift_high: float | None
    p_value: float | None
    """Always valid, too, and corrected for the number of variants."""


class VariantReport(msgspec.Struct, frozen=True):
    """One variant."""

    variant: str
    customers: int
    crossed: int | None
    """Of these, who saw another variant as well; null: not counted by segment."""
    shown: int
    clicked: int
    converted: int
    """Customers with an order in the conversion window after the first exposure."""
    orders: int
    cents: int
    """What these orders are worth, net of refunds."""
    metrics: dict[str, float | None]
    """By name (docs/experiments.md)."""
    compared: tuple[Compared, ...]
    """With the control; none for the control itself."""


class Ratio(msgspec.Struct, frozen=True):
    """Whether the variants have the customers that their shares promise."""

    verdict: str
    """`as expected`, `mismatch`, `nobody yet`, or `unknown`: nobody said what the shares were."""
    p_value: float | None
    variant: str | None
    """The one that is farthest off."""
    observed: int
    expected: float
    customers_without_shares: int
    """They are not in the test."""


class ExperimentReport(msgspec.Struct, frozen=True):
    """One experiment, for everybody or for one segment."""

    experiment: str
    as_of_ms: int
    segment: str | None
    """Of the customers at their first exposure; null: everybody."""
    segments: tuple[str, ...]
    """All that there are."""
    control: str | None
    customers: int
    tightest_at_customers: int
    """Of control and variant together, evenly split: as planned, or else 10,000."""
    sample_ratio: Ratio
    variants: tuple[VariantReport, ...]
    """The control first."""
    left_out: int
    """Entries of customers for which there was no room."""
    defined: bool | None = None
    """Whether the file of experiments defines it: labels may say anything. null: there is no file."""


def report(
    experiment: str,
    as_of_ms: int,
    tally: Tally,
    *,
    control: str | None = None,
    segment: str = EVERYBODY,
    sequential: SequentialSettings | None = None,
    ratio: SampleRatioSettings | None = None,
) -> ExperimentReport:
    """Work it out.

    Args:
        experiment: its name.
        as_of_ms: event time of the tally.
        tally: its sums.
        control: with what the others are compared; None: what stands first among the shares, or by name.
        segment: of customers; EVERYBODY: all.
        sequential: of the comparisons; None: the defaults.
        ratio: of the test of shares; None: the defaults.
    """
    sequential, ratio = sequential or SequentialSettings(), ratio or SampleRatioSettings()
    strata: defaultdict[str, dict[str, Sums]] = defaultdict(dict)
    placed: dict[str, dict[str, int]] = defaultdict(dict)
    for cell, sums in tally.cells.items():
        if cell.segment == segment:
            one = strata[cell.shares]
            one[cell.variant] = merged([sums, one[cell.variant]]) if cell.variant in one else sums
            placed[cell.shares][cell.variant] = cell.place
    names = _ordered(strata, placed, control)
    kept = _ratio(strata, placed, ratio)
    compared: dict[str, list[Compared]] = defaultdict(list)
    if len(names) > 1:
        for metric, estimate in METRICS.items():
            found = compare_variants(estimate, strata.values(), names[0], names[1:], sequential)
            for name, comparison in found.items():
                compared[name].append(_compared(metric, comparison, kept))
    variants = tuple(
        _variant(
            name,
            merged(one[name] for one in strata.values() if name in one),
            tally.crossed.get(name, 0) if segment == EVERYBODY else None,
            tuple(compared[name]),
        )
        for name in names
    )
    return ExperimentReport(
        experiment=experiment,
        as_of_ms=as_of_ms,
        segment=segment or None,
        segments=tuple(sorted({cell.segment for cell in tally.cells} - {EVERYBODY})),
        control=names[0] if names else None,
        customers=sum(variant.customers for variant in variants),
        tightest_at_customers=sequential.tightest_at_customers,
        sample_ratio=kept,
        variants=variants,
        left_out=tally.left_out,
    )


def _ordered(
    strata: Mapping[str, Mapping[str, Sums]], placed: Mapping[str, Mapping[str, int]], control: str | None
) -> list[str]:
    """The control first, then by place among the shares, those without any last, then by name.

    A tally does not say which shares were the newest. Where a place has changed, it is that among the shares with the
    most customers.
    """

    def customers(shares: str) -> tuple[bool, int, str]:
        return bool(shares), sum(sums.customers for sums in strata[shares].values()), shares

    place = {name: at or _NO_PLACE for shares in sorted(placed, key=customers) for name, at in placed[shares].items()}
    names = {name for one in strata.values() for name in one} | ({control} if control is not None and strata else set())
    return sorted(names, key=lambda name: (name != control, place.get(name, 0), name))


def _variant(name: str, sums: Sums, crossed: int | None, compared: tuple[Compared, ...]) -> VariantReport:
    values = {metric: estimate(sums) for metric, estimate in METRICS.items()}
    return VariantReport(
        variant=name,
        customers=sums.customers,
        crossed=crossed,
        shown=sums.shown,
        clicked=sums.clicked,
        converted=sums.converted,
        orders=sums.orders,
        cents=sums.cents,
        metrics={metric: None if one is None else one.value for metric, one in values.items()},
        compared=compared,
    )


def _compared(metric: str, comparison: Comparison, ratio: Ratio) -> Compared:
    interval, lifted = comparison.interval, comparison.lift_interval
    torn = ratio.verdict == MISMATCH
    return Compared(
        metric=metric,
        verdict=MISMATCH if torn else comparison.verdict,
        reason="the variants have not the customers that their shares promise" if torn else comparison.reason,
        control=comparison.control,
        variant=comparison.variant,
        difference=comparison.difference,
        low=None if interval is None else interval.low,
        high=None if interval is None else interval.high,
        lift=comparison.lift,
        lift_low=None if lifted is None else lifted.low,
        lift_high=None if lifted is None else lifted.high,
        p_value=comparison.p_value,
    )


def _ratio(
    strata: Mapping[str, Mapping[str, Sums]], placed: Mapping[str, Mapping[str, int]], settings: SampleRatioSettings
) -> Ratio:
    known: list[Shared] = []
    unknown = 0
    for shares, one in strata.items():
        counts = {name: sums.customers for name, sums in one.items()}
        if not shares:
            unknown += sum(counts.values())
            continue
        # by place: a variant that was replaced by another one at its share has its customers together with it
        names_at: defaultdict[int, list[str]] = defaultdict(list)
        for name, place in placed[shares].items():
            names_at[place].append(name)
        label_at = {at: ", ".join(names) for at, names in names_at.items()}
        expected = {label_at.get(at, f"(variant {at})"): float(part) for at, part in enumerate(parts_of(shares), 1)}
        known.append(Shared(expected, {label_at[at]: sum(map(counts.__getitem__, names_at[at])) for at in names_at}))
    if not known:
        return Ratio("unknown" if unknown else "nobody yet", None, None, 0, 0.0, unknown)
    found = sample_ratio(known, settings)
    return Ratio(found.verdict, found.p_value, found.variant, found.observed, found.expected, unknown)
