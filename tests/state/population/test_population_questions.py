"""From the text of rules to what is published, and to the answers for each customer."""

import pytest
from answers import answer

from state.population.percentiles import percentiles_of
from state.population.publishing import Published, PublishSettings
from state.population.questions import questions
from state.population.refusal import PopulationError
from state.population.scales import scale_of
from state.population.sketch import QuantileSketch
from state.rules.document import read_document
from state.rules.ruleset import load_rules
from state.rules.tree import Asked, walk

T0_MS = 1_740_787_200_000
SHOP = [
    {"revenue_total_cents": 5 * n, "orders_total": n // 20, "engagement": float(n), "average_order_cents": n or None}
    for n in range(100)
]
RULES = """
[segments.all]
description = "Everything that can be asked."
when = '''
    revenue_total_cents > percentile(revenue_total_cents, 80)
    or revenue_total_cents < percentile(revenue_total_cents, 0.5)
    or quartile(engagement) == 4 or rfm_recency > 1 or rfm_frequency >= 4 or quartile(average_order_cents) == 1
    or cluster("loyal")
'''
"""


def asked_in(text: str) -> list[Asked]:
    return [
        node
        for segment in read_document(text, "test").segments
        for condition in segment.conditions
        for node in walk(condition)
        if isinstance(node, Asked)
    ]


def published(asked: list[Asked]) -> Published:
    found = Published(PublishSettings())
    for (feature, positive), points in questions(asked).items():
        sketch = QuantileSketch(scale_of(feature))
        for values in SHOP:
            value = values.get(feature)
            if value is not None:
                sketch.add(value, at_ms=T0_MS)
        found.consider(percentiles_of(feature, sketch, points, positive=positive), sketch, T0_MS)
    return found


class TestQuestions:
    def test_of_the_shipped_rules(self) -> None:
        """Two percentiles of revenue, and quartiles of engagement."""
        nodes = [node for one in load_rules().segments for condition in one.conditions for node in walk(condition)]
        assert questions(node for node in nodes if isinstance(node, Asked)) == {
            ("engagement", False): (25, 50, 75),
            ("revenue_total_cents", False): (75, 80),
        }

    def test_of_all_kinds(self) -> None:
        """Clusters are somebody else's; what is asked twice is published once."""
        assert questions(asked_in(RULES) * 2) == {
            ("average_order_cents", False): (25, 50, 75),
            ("engagement", False): (25, 50, 75),
            ("orders_total", True): (20, 40, 60, 80),
            ("recency_ms", False): (20, 40, 60, 80),
            ("revenue_total_cents", False): (0.5, 80),
        }


class TestAnswers:
    @pytest.mark.parametrize(
        ("asked", "values", "expected"),
        [
            (Asked("percentile", ("revenue_total_cents", 80)), {}, 395),
            (Asked("percentile", ("revenue_total_cents", 0.5)), {}, 0),
            (Asked("quartile", ("engagement",)), {"engagement": 99.0}, 4),
            (Asked("quartile", ("engagement",)), {"engagement": 0.0}, 1),
            (Asked("quartile", ("average_order_cents",)), {"average_order_cents": None}, None),
            (Asked("quartile", ("average_order_cents",)), {"average_order_cents": 60}, 3),
            (Asked("rfm_frequency", ()), {"orders_total": 0}, 1),
            (Asked("rfm_frequency", ()), {"orders_total": 4}, 4),
            (Asked("rfm_recency", ()), {"recency_ms": 5}, None),
        ],
    )
    def test_for_one_customer(self, asked: Asked, values: dict, expected: float | None) -> None:
        """Nobody in this shop has a recency, so nothing is published of it, and no one has a score."""
        assert answer(asked, published(asked_in(RULES)), values, T0_MS) == expected

    def test_before_anything_is_published(self) -> None:
        for asked in asked_in(RULES):
            if asked.function != "cluster":
                assert answer(asked, Published(PublishSettings()), {"engagement": 5.0}, T0_MS) is None

    def test_a_point_that_is_asked_anew(self) -> None:
        """New rules come before a view that knows their points: until then they are as if nothing was published."""
        known = published([Asked("percentile", ("revenue_total_cents", 80))])
        assert answer(Asked("percentile", ("revenue_total_cents", 80)), known, {}, T0_MS) == 395
        assert answer(Asked("percentile", ("revenue_total_cents", 90)), known, {}, T0_MS) is None
        assert answer(Asked("quartile", ("revenue_total_cents",)), known, {"revenue_total_cents": 5}, T0_MS) is None

    def test_a_cluster_is_no_percentile(self) -> None:
        with pytest.raises(PopulationError, match=r"cluster\(\) is no question about percentiles"):
            answer(Asked("cluster", ("loyal",)), Published(PublishSettings()), {}, T0_MS)
