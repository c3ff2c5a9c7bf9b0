"""The compiled function against a naive reading of the same rules."""

from hypothesis import given, settings
from hypothesis import strategies as st
from naive_rules import NaiveRules
from rule_strategies import USED, VALUES, rule_sets, value_of

from state.rules.features import FEATURES
from state.rules.ruleset import parse_rules

MANY = settings(max_examples=60, deadline=None)
EVERYTHING = (1 << 256) - 1
EMPTY = {"int": 0, "float": 0.0, "bool": False, "list[str]": (), "str": None}


def one_rule(when: str) -> "Holds":
    """A function that says whether a rule holds for some feature values."""
    return Holds(when)


class Holds:
    """A rule set of one segment, asked with named values; what is not named is absent or empty."""

    def __init__(self, when: str) -> None:
        self.rules = parse_rules(f"[segments.s]\ndescription = 'd'\nwhen = '''{when}'''")

    def __call__(self, **values: object) -> bool:
        assert set(values) <= set(self.rules.reads)
        row = tuple(
            values.get(name, None if FEATURES[name].optional else EMPTY[FEATURES[name].type])
            for name in self.rules.reads
        )
        return self.rules.step(row, 0, EVERYTHING) == 1


class TestMeaning:
    """What an expression means, case by case."""

    def test_a_chained_comparison_holds_if_every_link_does(self) -> None:
        """`1 < x <= 3` is both `1 < x` and `x <= 3`."""
        holds = one_rule("1 < orders_7d <= 3")
        assert [holds(orders_7d=n) for n in (1, 2, 3, 4)] == [False, True, True, False]

    def test_a_comparison_with_an_absent_value_is_false_and_its_opposite_true(self) -> None:
        """A customer without orders has no recency: neither `<=` nor `>` holds, `not (… <= …)` does."""
        assert not one_rule("recency_ms <= days(30)")()
        assert not one_rule("recency_ms > days(30)")()
        assert one_rule("not (recency_ms <= days(30))")()
        assert not one_rule('device != "mobile"')()
        assert not one_rule('device not in ("mobile", "tv")')()

    def test_absence_can_be_asked_for(self) -> None:
        """absent() and present() are each other's opposite."""
        assert one_rule("absent(recency_ms)")()
        assert not one_rule("absent(recency_ms)")(recency_ms=0)
        assert one_rule("present(recency_ms)")(recency_ms=0)
        assert one_rule("present(orders_7d)")()

    def test_arithmetic_with_an_absent_value_is_absent(self) -> None:
        """So a comparison with the result is false, whichever way."""
        for op in ("<", ">=", "!="):
            assert not one_rule(f"average_order_cents * 2 {op} 5")()
            assert not one_rule(f"max(average_order_cents, 1) {op} 5")()

    def test_a_division_by_zero_is_absent(self) -> None:
        """Views per order of a customer without orders is no number."""
        holds = one_rule("views_30d / orders_30d >= 4")
        assert not holds(views_30d=8)
        assert holds(views_30d=8, orders_30d=2)
        assert not one_rule("not (views_30d % orders_30d != 1) and views_30d // orders_30d < 9")(views_30d=8)

    def test_a_result_too_large_for_a_number_is_absent(self) -> None:
        """Nothing a rule computes can raise."""
        factors = " * ".join(["revenue_total_cents"] * 40)
        assert not one_rule(f"{factors} / 3 > 1")(revenue_total_cents=2**53)
        assert not one_rule(f"{factors} * 1.5 != 1")(revenue_total_cents=2**53)
        assert one_rule(f"{factors} > 1")(revenue_total_cents=2**53)

    def test_durations_are_milliseconds(self) -> None:
        """days(), hours() and minutes() take fractions, too."""
        for text, span_ms in (("days(2)", 172_800_000), ("hours(1.5)", 5_400_000), ("minutes(30)", 1_800_000)):
            holds = one_rule(f"recency_ms <= {text}")
            assert holds(recency_ms=span_ms)
            assert not holds(recency_ms=span_ms + 1)

    def test_lists_and_texts(self) -> None:
        """`in` asks a list of texts, or whether a text is among some."""
        assert one_rule('"shoes" in top_categories')(top_categories=("hats", "shoes"))
        assert one_rule('"shoes" not in top_categories')(top_categories=["hats"])
        assert one_rule('device in ("tv", "mobile")')(device="mobile")
        assert one_rule("cart_open")(cart_open=True)
        assert one_rule("cart_open == False")(cart_open=False)

    def test_an_expression_may_run_over_lines_with_comments(self) -> None:
        """The brackets are not the user's task."""
        assert one_rule("orders_7d > 1  # often\n  and views_7d == 0 # and sure\n")(orders_7d=2)


class TestEnterAndLeave:
    """Different conditions to enter and to leave."""

    TEXT = """
    [segments.s]
    description = "d"
    enter = "views_7d >= 5"
    leave = "views_7d < 3 or orders_7d > 0"
    """

    def test_hysteresis(self) -> None:
        """Between the two conditions everyone stays where they are."""
        rules = parse_rules(self.TEXT)
        assert rules.reads == ("views_7d", "orders_7d")
        assert [rules.step((views, 0), 0, -1) for views in (2, 4, 5)] == [0, 0, 1]
        assert [rules.step((views, 0), 1, -1) for views in (2, 3, 5)] == [0, 1, 1]

    def test_both_true_keeps_out_and_leads_out(self) -> None:
        """Leaving wins over entering."""
        rules = parse_rules(self.TEXT)
        assert rules.step((9, 1), 0, -1) == 0
        assert rules.step((9, 1), 1, -1) == 0

    def test_a_member_that_is_not_free_cannot_leave(self) -> None:
        """The minimum stay is stronger than every condition."""
        rules = parse_rules(self.TEXT)
        assert rules.step((0, 1), 1, 0) == 1


class TestReferences:
    """Segments that ask about other segments."""

    def test_a_reference_sees_the_same_moment_whatever_the_order_in_the_file(self) -> None:
        """Referring rules are evaluated after those they refer to; the bits keep the file's order."""
        rules = parse_rules(
            """
            [segments.a]
            description = "d"
            when = 'segment("b") and not segment("c")'
            [segments.b]
            description = "d"
            when = 'orders_7d > 1 or segment("c")'
            [segments.c]
            description = "d"
            when = "orders_7d > 5"
            """
        )
        assert rules.names == ("a", "b", "c")
        assert [rules.names_in(rules.step((n,), 0, -1)) for n in (1, 2, 6)] == [(), ("a", "b"), ("b", "c")]
        assert rules.reads_of == ((0,), (0,), (0,))

    def test_a_reference_sees_a_member_who_is_held(self) -> None:
        """Who cannot leave yet is a member for other rules, too."""
        rules = parse_rules(
            """
            [segments.b]
            description = "d"
            when = "orders_7d > 1"
            minimum_stay = "1d"
            [segments.a]
            description = "d"
            when = 'segment("b")'
            """
        )
        assert rules.step((0,), 0b11, 0b10) == 0b11
        assert rules.stay_step((0,), 0b11, 0b10) == (0b11, 0b01)
        assert rules.step((0,), 0b11, 0b11) == 0


class TestAgainstNaive:
    """Random rule sets, compared with a naive interpreter."""

    @MANY
    @given(rule_sets(), st.lists(VALUES, min_size=1, max_size=5), st.data())
    def test_step_is_what_the_words_say(self, made: tuple, rows: list, data: st.DataObject) -> None:
        """For any values, members and minimum stays, the compiled step gives the naive step's members."""
        rules, segments = made
        naive = NaiveRules(segments)
        everyone = (1 << len(rules.names)) - 1
        for row in rows:
            mask, held = data.draw(st.integers(0, everyone)), data.draw(st.integers(0, everyone))
            values = tuple(row[name] for name in rules.reads)
            members, wanting = naive.step(row, set(rules.names_in(mask)), set(rules.names_in(held)))
            assert set(rules.names_in(rules.step(values, mask, ~held))) == members
            new, wants = rules.stay_step(values, mask, ~held)
            assert set(rules.names_in(new)) == members
            assert set(rules.names_in(wants)) == wanting & set(rules.names_in(rules.stay_mask))

    @MANY
    @given(rule_sets(), VALUES, st.data())
    def test_a_second_look_at_the_same_moment_changes_nothing(
        self, made: tuple, row: dict, data: st.DataObject
    ) -> None:
        """step is settled after one call."""
        rules, _ = made
        values = tuple(row[name] for name in rules.reads)
        mask, free = (data.draw(st.integers(0, (1 << len(rules.names)) - 1)) for _ in range(2))
        once = rules.step(values, mask, free)
        assert rules.step(values, once, free) == once

    @MANY
    @given(rule_sets(), VALUES, st.data())
    def test_nothing_flips_by_time_unless_an_atom_does(self, made: tuple, row: dict, data: st.DataObject) -> None:
        """Values that drift without crossing an atom's threshold leave every membership as it is."""
        rules, _ = made
        drifted = dict(row)
        for name in USED:
            spec = FEATURES[name]
            if spec.drift == "static" or (row[name] is None and spec.drift != "appears"):
                continue
            value = data.draw(value_of(spec))
            thresholds = [atom.threshold for atom in rules.atoms if atom.feature == name]
            crossed = value is None or any(
                value != row[name] if threshold is None else (value >= threshold) != (row[name] >= threshold)
                for threshold in thresholds
            )
            if not crossed:
                drifted[name] = value
        before, after = (tuple(values[name] for name in rules.reads) for values in (row, drifted))
        settled = rules.step(before, data.draw(st.integers(0, (1 << len(rules.names)) - 1)), -1)
        assert rules.step(after, settled, -1) == settled
