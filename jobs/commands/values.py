"""Values for people: of features, and amounts of money."""

from decimal import Decimal
from typing import Any

from jobs.commands.options import duration, iso
from state.rules.features import FeatureSpec


def amount(cents: float, exponent: int) -> str:
    """Minor units, rounded to whole ones, with as many places as their currency has (`exponent`)."""
    return f"{Decimal(round(cents)).scaleb(-exponent):,.{exponent}f}"


def readable(spec: FeatureSpec, value: Any, exponent: int) -> str:
    """A feature's value; amounts with as many places as their currency has (`exponent`)."""
    if value is None:
        return "-"
    if spec.unit == "cents":
        return amount(value, exponent)
    if spec.unit == "epoch_ms":
        return iso(value)
    if spec.unit == "ms":
        return duration(value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.3f}"
    return ", ".join(value) if isinstance(value, list) else str(value)
