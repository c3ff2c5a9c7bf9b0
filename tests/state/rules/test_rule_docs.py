"""docs/rules.md says what is so: its examples load, its messages are the ones that are printed."""

import re
from pathlib import Path

import pytest

from state.rules.errors import RuleError
from state.rules.features import FEATURES, POPULATION_SCORES, PROPENSITIES, WINDOW_DAYS
from state.rules.operands import FUNCTIONS
from state.rules.ruleset import load_rules, parse_rules

DOCS = (Path(__file__).parents[3] / "docs" / "rules.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"```toml\n(.*?)```", DOCS, re.DOTALL)


def example(beginning: str) -> str:
    """The example that begins like this."""
    (found,) = (text for text in EXAMPLES if text.startswith(beginning))
    return found


class TestDocumentation:
    """The page an analyst learns from."""

    def test_its_first_example_loads(self) -> None:
        """Two segments, with all keys."""
        assert parse_rules(example("name =")).names == ("frequent-buyers", "window-shoppers")

    def test_its_other_examples_load(self) -> None:
        """A condition over several lines; a segment of segments."""
        assert parse_rules(f"[segments.s]\ndescription = 'd'\n{example('when =')}").names == ("s",)
        high_value = "[segments.high-value]\ndescription = 'd'\nwhen = 'orders_total > 9'\n"
        assert parse_rules(high_value + example("[segments.vip]")).names == ("high-value", "vip")

    def test_its_faulty_example_prints_what_it_says(self) -> None:
        """Line by line."""
        with pytest.raises(RuleError) as caught:
            parse_rules(example("[segments.big-spenders]"), "my-rules.toml")
        assert f"```\n{caught.value}\n```" in DOCS

    def test_it_names_every_feature_and_function(self) -> None:
        """Nothing can be used that is not explained."""
        for name, spec in FEATURES.items():
            written = name.replace(f"_{spec.window_days}d", "_{W}d") if spec.window_days in WINDOW_DAYS else name
            assert f"`{written}`" in DOCS, name
        for score in (*POPULATION_SCORES, *PROPENSITIES):
            assert f"`{score}`" in DOCS
        for function in FUNCTIONS:
            assert f"`{function}(" in DOCS, function

    def test_it_names_the_shipped_rules_that_wait(self) -> None:
        """So that nobody wonders about their emptiness."""
        listed = ", ".join(f"`{name}`" for name, _ in load_rules().waiting)
        assert listed.replace(", `vip`", " and `vip`") in DOCS
