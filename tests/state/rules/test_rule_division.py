"""Rules that ask about the population: cut in two, against a naive reading of the whole."""

from functools import cache

from hypothesis import given, settings
from hypothesis import strategies as st
from naive_rules import NaiveRules, NaiveSegment, interpret
from rule_strategies import VALUES, conditions, rules_or_no_example

from state.rules import tree
from state.rules.codegen import Rule, compile_rules
from state.rules.membership import Membership
from state.rules.ruleset import RuleSet, load_rules

MANY = settings(max_examples=150, deadline=None)
NUMBERS = {
    "percentile(revenue_total_cents, 80)": ("revenue_total_cents", "revenue_30d_cents + 1"),
    "percentile(orders_30d, 50)": ("orders_30d", "orders_7d * 2"),
    "quartile(engagement)": ("2", "3"),
    "rfm_monetary": ("4", "orders_7d"),
    "buys_7d": ("3", "orders_7d"),
}
"""What a rule can ask about the population, and what its answer is compared with here."""
ANSWERS = st.fixed_dictionaries(
    {
        **{text: st.none() | st.integers(0, 5) for text in NUMBERS},
        "cluster('loyal')": st.none() | st.booleans(),
    }
)


@cache
@st.composite
def _asking(draw: st.DrawFn) -> str:
    text = draw(st.sampled_from((*NUMBERS, "cluster('loyal')")))
    if text not in NUMBERS:
        return text
    sides = [draw(st.sampled_from(NUMBERS[text])), text]
    op = draw(st.sampled_from(("<", "<=", ">", ">=", "==", "!=")))
    return f" {op} ".join(draw(st.permutations(sides)))


@cache
def _asking_conditions(references: tuple[str, ...]) -> st.SearchStrategy[str]:
    leaves = _asking() | conditions(references)
    return st.recursive(
        leaves,
        lambda inner: (
            st.tuples(st.sampled_from((" and ", " or ")), st.lists(inner, min_size=2, max_size=4)).map(
                lambda joined: f"({joined[0].join(joined[1])})"
            )
            | inner.map(lambda part: f"not ({part})")
        ),
        max_leaves=6,
    )


@st.composite
def asking_sets(draw: st.DrawFn) -> tuple[RuleSet, list[NaiveSegment]]:
    """Valid rule sets, some of whose segments ask about the population."""
    segments: list[NaiveSegment] = []
    for index in range(draw(st.integers(1, 4))):
        condition = _asking_conditions(tuple(segment.name for segment in segments))
        leave = draw(st.none() | condition)
        segments.append(NaiveSegment(f"s{index}", draw(condition), leave, draw(st.sampled_from((0, 0, 3)))))
    return rules_or_no_example(draw(st.permutations(segments))), segments


def answer_to(asked: tree.Asked, answers: dict[str, object]) -> object:
    """The one of `answers` that a question is about."""
    if not asked.args:
        return answers[asked.function]
    shown = ", ".join(str(arg) for arg in asked.args) if asked.function != "cluster" else repr(asked.args[0])
    return answers[f"{asked.function}({shown})"]


class TestCut:
    """Own facts on one side, the population on the other."""

    @MANY
    @given(sets=asking_sets(), values=VALUES, answers=ANSWERS, data=st.data())
    def test_both_sides_together_are_the_whole(
        self, sets: tuple[RuleSet, list[NaiveSegment]], values: dict[str, object], answers: dict[str, object], data
    ) -> None:
        """One step of the segments that do not wait, and of the others with the parts, as one step of all."""
        rules, segments = sets
        left = rules.remainder
        members = data.draw(st.sets(st.sampled_from([segment.name for segment in segments])))
        held = {segment.name for segment in segments if segment.stay_ms and segment.name in members}
        expected, wanting = NaiveRules(segments).step({**values, **answers}, members, held)

        own = rules.step(tuple(values[name] for name in rules.reads), self.mask(rules.bit_of, members), -1)
        if held:
            own, _ = rules.stay_step(
                tuple(values[name] for name in rules.reads),
                self.mask(rules.bit_of, members),
                ~self.mask(rules.bit_of, held),
            )
        row = (
            *(values[name] for name in left.reads),
            *(answer_to(asked, answers) for asked in left.asks),
            *self.truths(rules, left.parts, values, own),
        )
        new, want = left.stay_step(row, self.mask(left.bit_of, members), ~self.mask(left.bit_of, held))
        found = {*rules.names_in(own), *(name for name, bit in left.bit_of.items() if new >> bit & 1)}
        assert found == expected
        assert {name for name, bit in left.bit_of.items() if want >> bit & 1} == wanting & set(left.names)

    @MANY
    @given(sets=asking_sets())
    def test_each_side_has_what_is_its_own(self, sets: tuple[RuleSet, list[NaiveSegment]]) -> None:
        """Parts ask nobody and refer to nobody who waits; every segment is on one side."""
        rules, segments = sets
        left = rules.remainder
        for part in left.parts:
            assert not tree.asks_population(part)
            assert not any(isinstance(node, tree.Member) and node.segment in left.names for node in tree.walk(part))
        assert sorted((*rules.names, *left.names)) == sorted(segment.name for segment in segments)
        assert len(set(left.parts)) == len(left.parts)
        assert len(set(left.asks)) == len(left.asks)

    def mask(self, bits: dict[str, int], names: set[str]) -> int:
        return sum(1 << bits[name] for name in names if name in bits)

    def truths(self, rules: RuleSet, parts: tuple[tree.Condition, ...], values: dict[str, object], own: int):
        """Each part as if it were a segment that stands behind all that do not wait."""
        count = len(rules.names)
        frozen = [Rule(bit, name, tree.Part(bit), None, stays=False) for name, bit in rules.bit_of.items()]
        behind = [Rule(count + number, f"~{number}", part, None, stays=False) for number, part in enumerate(parts)]
        reads = tuple(values)
        step = compile_rules([*frozen, *behind], reads, (), count).step
        mask = step((*values.values(), *(bool(own >> bit & 1) for bit in range(count))), 0, -1)
        return [bool(mask >> (count + number) & 1) for number in range(len(parts))]


class TestShipped:
    """The rules that are shipped."""

    def test_what_is_asked(self) -> None:
        """Three segments wait, for two thresholds and a quartile; their own facts are three parts."""
        left = load_rules().remainder
        assert left.names == ("high-intent", "high-value", "vip")
        assert left.reads == ("revenue_total_cents",)
        assert [(asked.function, asked.args) for asked in left.asks] == [
            ("quartile", ("engagement",)),
            ("percentile", ("revenue_total_cents", 80)),
            ("percentile", ("revenue_total_cents", 75)),
        ]
        assert len(left.parts) == 3

    def test_memberships(self) -> None:
        """The one who is over the threshold enters, and stays a week, although the threshold rises."""
        left = load_rules().remainder
        membership = Membership(left)
        day_ms = 86_400_000
        parts = (False, True, True)
        changes = membership.evaluate((10_000, 1, 9_999, 9_000, *parts), 0)
        assert [(left.names[change.bit], change.entered) for change in changes] == [
            ("high-value", True),
            ("vip", True),
        ]
        assert membership.evaluate((10_000, 1, 20_000, 19_000, *parts), day_ms) == ()
        assert membership.next_forced_ms() == 7 * day_ms
        changes = membership.evaluate((10_000, 1, 20_000, 19_000, *parts), 7 * day_ms)
        assert [(left.names[change.bit], change.entered) for change in changes] == [
            ("high-value", False),
            ("vip", False),
        ]
        twin, gone = Membership.from_packed(left, membership.to_packed())
        assert (twin.mask, gone) == (0, [])

    def test_without_an_answer(self) -> None:
        """Nobody enters by a comparison with what nobody knows."""
        left = load_rules().remainder
        assert left.step((10_000, None, None, None, True, False, True), 0, -1) == 0


class TestNaive:
    """The naive reading itself."""

    def test_answers_are_values(self) -> None:
        """Taken by the question's text."""
        values = {"revenue_total_cents": 5, "percentile(revenue_total_cents, 80)": 4}
        assert interpret("revenue_total_cents > percentile(revenue_total_cents, 80)", values, lambda _: False)
