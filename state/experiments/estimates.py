"""The metrics of one variant, from its sums: each a value with the variance of that value.

Traffic is split by customer, so a customer is the unit: her impressions are not independent of each other, and to
count each as one trial makes the variance of a click rate several times too small. Rates whose denominator is not the
number of customers are ratios of two means, with the variance of the delta method (Deng, Knoblich and Lu, "Applying
the delta method in metric analytics: a practical guide with novel ideas", KDD 2018): that of the mean of y - R x over
customers, divided by the squared mean of x.

Numerators are exact integers up to the one division at the end, so nothing is lost where a variance is small beside
the squares it is made of.
"""

from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

from state.experiments.sums import Sums


class Estimate(NamedTuple):
    """What one variant has of one metric."""

    value: float
    variance: float
    """Of the value, as an estimator: its standard error squared."""
    customers: int
    """All of the variant, with a part in the metric or not."""
    support: float
    """By how many customers the value is carried: by (sum y)^2 / sum y^2, which is k where k customers have the same
    and the others nothing, and little where a few have almost all. Of numerator and denominator the lesser."""


Metric = Callable[[Sums], Estimate | None]


def click_rate(sums: Sums) -> Estimate | None:
    """Clicks for each impression. None with fewer than two customers, or without impressions."""
    return _ratio(sums.customers, (sums.clicked, sums.clicked2), (sums.shown, sums.shown2), sums.shown_clicked)


def conversion(sums: Sums) -> Estimate | None:
    """Share of the customers with an order. None with fewer than two customers.

    Both those who ordered and those who did not must be many: the support is the lesser number.
    """
    found = _mean(sums.customers, sums.converted, sums.converted)
    if found is None:
        return None
    return found._replace(support=float(min(sums.converted, sums.customers - sums.converted)))


def orders_per_customer(sums: Sums) -> Estimate | None:
    """Orders for each customer, with an order or not. None with fewer than two customers."""
    return _mean(sums.customers, sums.orders, sums.orders2)


def revenue_per_customer(sums: Sums) -> Estimate | None:
    """Cents for each customer, with an order or not. None with fewer than two customers."""
    return _mean(sums.customers, sums.cents, sums.cents2)


def average_order_value(sums: Sums) -> Estimate | None:
    """Cents for each order. None with fewer than two customers, or without orders."""
    return _ratio(sums.customers, (sums.cents, sums.cents2), (sums.orders, sums.orders2), sums.orders_cents)


METRICS: Final[Mapping[str, Metric]] = {
    "ctr": click_rate,
    "conversion": conversion,
    "orders_per_customer": orders_per_customer,
    "revenue_per_customer_cents": revenue_per_customer,
    "average_order_value_cents": average_order_value,
}
"""By name; of each, more is better."""


def _mean(customers: int, y: int, y2: int) -> Estimate | None:
    return _ratio(customers, (y, y2), (customers, customers), y)


def _ratio(customers: int, above: tuple[int, int], below: tuple[int, int], products: int) -> Estimate | None:
    """The ratio of two sums.

    Args:
        customers: n, of whom both are sums.
        above: sum and sum of squares of y.
        below: of x; of 1 for each customer the ratio is a mean, and its variance the usual s^2 / n.
        products: sum of x y.
    """
    (y, y2), (x, x2) = above, below
    if customers < 2 or x <= 0:
        return None
    # sum of (y - R x)^2, times x^2: their mean is 0 by the choice of R
    squares = y2 * x * x - 2 * products * x * y + x2 * y * y
    variance = customers * squares / ((customers - 1) * x**4)
    return Estimate(y / x, variance, customers, min(_carried_by(y, y2), _carried_by(x, x2)))


def _carried_by(total: int, squares: int) -> float:
    return total * total / squares if squares else 0.0
