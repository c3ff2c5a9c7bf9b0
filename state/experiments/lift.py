"""How much more a variant has, relative to the control, with bounds.

The bounds are those of all factors r for which variant - r * control is not told apart from 0 by the bound in use
(Fieller, "Some problems in interval estimation", JRSS B 16, 1954). Unlike the delta method on the ratio this asks for
no more than the difference does, whatever the control's value, and never contradicts it: a lift of 0 is left out
exactly where the interval of the difference leaves out 0. Where the control's own value is not told apart from 0
there are no bounds.
"""

from math import sqrt


def lift(control: float, variant: float) -> float | None:
    """0.1 is 10 % more; None where the control has nothing."""
    return variant / control - 1 if control > 0 else None


def lift_bounds(
    control: tuple[float, float], variant: tuple[float, float], squared: float
) -> tuple[float, float] | None:
    """The least and the greatest r, less 1, with (variant - r control)^2 <= squared * its variance.

    Args:
        control: value and variance; independent of ...
        variant: value and variance.
        squared: the squared bound on a standardized difference, k.

    Returns:
        None where the control is not above 0 by that bound.
    """
    (base, base_variance), (value, variance) = control, variant
    leading = base * base - squared * base_variance
    if base <= 0 or leading <= 0:
        return None
    root = sqrt(squared * (variance * leading + value * value * base_variance))
    # of the two solutions of a quadratic equation, the one that is a sum, and the other from their product
    if value < 0:
        least = (value * base - root) / leading
        return least - 1, (value * value - squared * variance) / leading / least - 1
    greatest = (value * base + root) / leading
    if not greatest:
        return -1.0, -1.0
    return (value * value - squared * variance) / leading / greatest - 1, greatest - 1
