"""Rules are data: nothing a rule file says can run code, burn the machine, or fail in another way than RuleError."""

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from state.rules.errors import RuleError
from state.rules.features import FEATURES
from state.rules.ruleset import RuleSet, parse_rules

VOCABULARY = r"""
    and or not in is if else lambda for await yield None True ( ) [ ] { } , : := = == < >= != + - * ** / // % @ ~ . #
    1 0 2.5 1e999 5j 'a' "s" b'x' f'{x}' ' " \ é days segment absent percentile quartile cluster max abs exec x
    orders_30d engagement recency_ms device top_categories cart_open cart_abandoned_at_ms __import__
"""
FRAGMENTS = (*VOCABULARY.split(), "9" * 40, "\n", "\t", "\u2028", "\x0c")


def parse(condition: str) -> RuleSet:
    """A rule set of one segment with a condition, written as a basic TOML string."""
    escaped = "".join(f"\\u{ord(c):04x}" if ord(c) < 32 or c in '"\\\x7f' else c for c in condition)
    return parse_rules(f'[segments.s]\ndescription = "d"\nwhen = "{escaped}"')


class TestBreakingOut:
    """Attempts to reach what is not a feature."""

    @pytest.mark.parametrize(
        "condition",
        [
            "__import__('os').system('true') == 0",
            "().__class__.__bases__[0].__subclasses__() == 1",
            "device.__class__ == 1",
            "orders_30d.real > 1",
            "top_categories[0] == 'a'",
            "(lambda: 1)() == 1",
            "[x for x in top_categories] == 1",
            "any(x for x in top_categories)",
            "(x := 5) > 1",
            "f'{orders_30d}' == '1'",
            "f'{().__class__}' == '1'",
            "exec('import os') == 1",
            "eval('1') == 1",
            "open('file') == 1",
            "getattr(device, '__class__') == 1",
            "__builtins__ == 1",
            "__name__ == '__main__'",
            "mask > 1",
            "free > 1",
            "out > 1",
            "v > 1",
            "f0 > 1",
            "_op0(1, 2) > 1",
            "_neg(1) > 1",
            "abs.__self__ == 1",
            "max(orders_30d, orders_7d, key=abs) > 1",
            "(yield) == 1",
            "(await x) == 1",
            "{'a': 1}['a'] == 1",
            "{orders_30d} == 1",
            "*orders_30d, 1",
            "orders_30d @ 2 > 1",
            "orders_30d << 99999999 > 1",
            "9 ** 9 ** 9 ** 9 > orders_30d",
            "'a' * 9999999999 == device",
            "1) > 0 or (orders_30d",
            "True\nimport os",
            "True; True",
            "# nothing",
            "\\",
        ],
    )
    def test_is_refused(self, condition: str) -> None:
        """Every attempt is a RuleError, before anything is compiled."""
        with pytest.raises(RuleError):
            parse(condition)

    def test_the_compiled_function_reaches_nothing(self) -> None:
        """No builtins, no globals but the arithmetic helpers."""
        step = parse("orders_30d / 2 > 1").step
        names = {name for name in step.__globals__ if not name.startswith("_op")}  # type: ignore[attr-defined]
        assert names == {"__builtins__", "_min", "_max", "_abs", "_neg", "step", "stay_step"}
        assert step.__globals__["__builtins__"] == {}  # type: ignore[attr-defined]
        assert not step.__closure__  # type: ignore[attr-defined]

    def test_names_are_data(self) -> None:
        """A text that looks like code stays a text."""
        rules = parse("\"__import__('os')\" in top_categories or device == '\\x00{mask}%s'")
        assert rules.step((("__import__('os')",), None), 0, -1) == 1


class TestSize:
    """Nothing in a rule file costs much time or memory."""

    @pytest.mark.parametrize(
        "condition",
        [
            "(" * 900 + "1" + ")" * 900,
            "(" * 60 + "orders_7d > 1" + ")" * 1900,
            "-" * 1900 + "1 > orders_7d",
            "not " * 490 + "True",
            "[" * 1900,
            "a(" * 900,
            "a." * 900 + "a",
            " + ".join(["1"] * 600) + "> orders_7d",
            "orders_7d > " + "9" * 1900,
            "max(" * 60 + "orders_7d, 1" + ", 1)" * 60 + " > 1",
            "1 < " * 60 + "(" * 199,
            "orders_7d > 1" + " " * 2000,
            "x" * 10_000_000,
            "{" * 1000,
            "f'" + "{" * 900,
        ],
    )
    def test_what_is_too_large_is_refused_quickly(self, condition: str) -> None:
        """Long, deep and huge."""
        start = time.process_time()
        with pytest.raises(RuleError):
            parse(condition)
        assert time.process_time() - start < 5

    def test_what_is_within_the_limits_is_compiled(self) -> None:
        """Wide and rather deep rules are no fault."""
        wide = " or ".join(f"orders_7d == {n}" for n in range(100))
        assert parse(wide).step((99,), 0, -1) == 1
        deep = "not (" * 45 + "orders_7d > 1" + ")" * 45
        assert parse(deep).step((1,), 0, -1) == 1

    def test_a_huge_file_is_refused(self) -> None:
        """By its length, before it is read."""
        with pytest.raises(RuleError, match="at most 2,000,000"):
            parse_rules("#" * 2_000_001)
        with pytest.raises(RuleError, match="TOML"):
            parse_rules("a = " + "[" * 100_000)


class TestFuzz:
    """Anything at all: a rule set or a RuleError."""

    @settings(max_examples=500, deadline=None)
    @given(st.lists(st.sampled_from(FRAGMENTS), max_size=14).map(" ".join) | st.text(max_size=40))
    def test_any_condition(self, condition: str) -> None:
        """What is accepted runs on any values; what is not has a place in the file."""
        try:
            rules = parse(condition)
        except RuleError as error:
            places = {(problem.line, bool(problem.column)) for problem in error.problems}
            if places != {(3, True)}:
                raise
            return
        samples = {"int": 3, "float": 1.5, "str": "a", "bool": True, "list[str]": ("a",)}
        present = tuple(samples[FEATURES[name].type] for name in rules.reads)
        absent = tuple(None if FEATURES[n].optional else x for n, x in zip(rules.reads, present, strict=True))
        assert {rules.step(values, mask, -1) for values in (present, absent) for mask in (0, 1)} <= {0, 1}

    @settings(max_examples=300, deadline=None)
    @given(st.text("[]{}\"'=.,#\\\n abs", max_size=40) | st.text(max_size=40))
    def test_any_file(self, text: str) -> None:
        """Any text is refused or accepted, never a traceback."""
        with pytest.raises(RuleError):
            parse_rules(text)
