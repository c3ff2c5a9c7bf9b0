"""Random rule sets and feature values for the property tests."""

from collections.abc import Iterable
from functools import cache

from hypothesis import assume
from hypothesis import strategies as st
from naive_rules import NaiveSegment

from state.rules.errors import RuleError
from state.rules.features import FEATURES, FeatureSpec
from state.rules.ruleset import RuleSet, parse_rules

COUNTS = ("orders_7d", "orders_30d", "views_14d", "orders_total")
SPANS = ("purchase_interval_ms", "session_ms_7d")
MONEY = ("revenue_30d_cents", "revenue_total_cents", "average_order_cents")
AGES = ("recency_ms", "since_last_seen_ms", "since_first_seen_ms")
TEXTS = ("device", "location")
USED = (*COUNTS, *SPANS, *MONEY, *AGES, *TEXTS, "engagement", "cart_open", "cart_abandoned_at_ms", "top_categories")

COMPARISONS = st.sampled_from(("<", "<=", ">", ">=", "==", "!="))
ORDERINGS = st.sampled_from(("<", "<=", ">", ">="))
SMALL = st.sampled_from(("0", "1", "2", "3", "2.5", "(1 + 2)", "-1", "(7 // 2)", "minutes(0.0001)"))
WHOLE = st.sampled_from(("0", "1", "2", "3", "(1 + 2)", "-2"))
WORDS = ("mobile", "desktop", "é", "sh'oe\"s")


@cache  # here and below: a strategy made anew for every draw would be checked anew as well
@st.composite
def _arithmetic(draw: st.DrawFn, names: tuple[str, ...], constants: st.SearchStrategy[str], depth: int) -> str:
    kind = draw(st.integers(0, 5 if depth else 1))
    if kind == 0:
        return draw(constants)
    if kind <= 2:
        return draw(st.sampled_from(names))
    parts = [draw(_arithmetic(names, constants, depth - 1)) for _ in range(2)]
    if kind == 3:
        return f"{draw(st.sampled_from(('min', 'max')))}({parts[0]}, {parts[1]})"
    if kind == 4:
        return draw(st.sampled_from((f"abs({parts[0]})", f"-({parts[0]})")))
    op = draw(st.sampled_from(("+", "-", "*", "/", "//", "%") if constants is SMALL else ("+", "-", "*", "//")))
    return f"({parts[0]} {op} {parts[1]})"


@cache
@st.composite
def _comparison(draw: st.DrawFn) -> str:
    op, kind = draw(COMPARISONS), draw(st.integers(0, 9))
    if kind <= 2:
        family = draw(st.sampled_from((COUNTS, (*COUNTS, *SPANS))))
        sides = [draw(_arithmetic(family, SMALL, 2)) for _ in range(draw(st.integers(2, 3)))]
        return f" {op} ".join(sides)
    if kind == 3:
        return f"{draw(_arithmetic(MONEY, WHOLE, 2))} {op} {draw(_arithmetic(MONEY, WHOLE, 1))}"
    if kind == 4:
        return f"{draw(st.sampled_from(AGES))} {op} {draw(SMALL)}"
    if kind == 5:
        return f"{draw(SMALL)} {draw(ORDERINGS)} {draw(st.sampled_from(('engagement', *AGES)))} {op} 3".replace(
            "engagement !=", "engagement <"
        ).replace("engagement ==", "engagement >")
    if kind == 6:
        return f"{draw(st.sampled_from(COUNTS))} {draw(st.sampled_from(('in', 'not in')))} (1, 2.0, 2.5, -1)"
    if kind == 7:
        text = draw(st.sampled_from(TEXTS))
        return draw(st.sampled_from((f'{text} != "mobile"', f'"é" == {text}', f'{text} not in ("mobile", "é")')))
    if kind == 8:
        negation, word = draw(st.sampled_from(("", "not "))), draw(st.sampled_from(WORDS))
        return f"{word!r} {negation}in top_categories"
    name = draw(st.sampled_from(USED))
    return draw(st.sampled_from(("cart_open", "cart_open == False", f"absent({name})", f"present({name})", "True")))


@cache
def conditions(references: tuple[str, ...]) -> st.SearchStrategy[str]:
    """Texts of conditions that may refer to some segments."""
    leaves = _comparison()
    if references:
        leaves |= st.sampled_from(references).map(lambda name: f'segment("{name}")')
    return st.recursive(
        leaves,
        lambda inner: (
            st.tuples(inner, st.sampled_from(("and", "or")), inner).map(lambda p: f"({p[0]} {p[1]} {p[2]})")
            | inner.map(lambda part: f"not ({part})")
        ),
        max_leaves=5,
    )


@st.composite
def rule_sets(draw: st.DrawFn) -> tuple[RuleSet, list[NaiveSegment]]:
    """Valid rule sets of up to four segments, in any order, beside their texts."""
    segments: list[NaiveSegment] = []
    for index in range(draw(st.integers(1, 4))):
        condition = conditions(tuple(segment.name for segment in segments))
        leave = draw(st.none() | condition)
        segments.append(NaiveSegment(f"s{index}", draw(condition), leave, draw(st.sampled_from((0, 0, 3, 7)))))
    return rules_or_no_example(draw(st.permutations(segments))), segments


def rules_or_no_example(segments: Iterable[NaiveSegment]) -> RuleSet:
    """The rules, unless they have a fault that random conditions may have."""
    try:
        return rules_of(segments)
    except RuleError as error:
        # the only faults these strategies can make
        allowed = ("divides by zero", "both constants", "same condition")
        assume(not all(any(part in problem.message for part in allowed) for problem in error.problems))
        raise


def rules_of(segments: Iterable[NaiveSegment]) -> RuleSet:
    """The segments, compiled."""
    return parse_rules("\n".join(_toml(segment) for segment in segments))


def _toml(segment: NaiveSegment) -> str:
    lines = [f"[segments.{segment.name}]", 'description = "d"', f"enter = '''{segment.enter}'''"]
    if segment.leave is not None:
        lines.append(f"leave = '''{segment.leave}'''")
    if segment.stay_ms:
        lines.append(f'minimum_stay = "{segment.stay_ms}ms"')
    return "\n".join(lines) + "\n"


def value_of(spec: FeatureSpec) -> st.SearchStrategy[object]:
    """Values of a feature, near the constants of the random rules."""
    by_type: dict[str, st.SearchStrategy[object]] = {
        "int": st.integers(-4 if spec.unit == "cents" else 0, 9),
        "float": st.sampled_from((0.0, 0.5, 1.0, 2.0, 2.5, 2.5000000000000004, 3.0, 7.25)),
        "str": st.sampled_from(WORDS),
        "bool": st.booleans(),
        "list[str]": st.lists(st.sampled_from(WORDS), max_size=3).map(tuple),
    }
    return st.none() | by_type[spec.type] if spec.optional else by_type[spec.type]


VALUES = st.fixed_dictionaries({name: value_of(FEATURES[name]) for name in USED})
"""Values of every feature the random rules read."""
