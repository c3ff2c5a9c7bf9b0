"""Faults in rule files: all of them at once, with their places and what to do."""

import pickle
from pathlib import Path

import pytest

from state.rules.errors import RuleError
from state.rules.ruleset import load_rules, parse_rules


def problems_of(text: str) -> list[str]:
    """What is wrong with a rule file, as it prints."""
    with pytest.raises(RuleError) as caught:
        parse_rules(text, "r.toml")
    return [str(problem) for problem in caught.value.problems]


def fault_of(condition: str) -> str:
    """The one thing that is wrong with a condition."""
    (problem,) = problems_of(f"[segments.s]\ndescription = 'd'\nwhen = '''{condition}'''")
    return problem.partition('segment "s": ')[2]


class TestPlaces:
    """Where the fault is, in the file the user wrote."""

    def test_all_faults_are_told_in_the_order_of_the_file(self) -> None:
        """Not only the first one."""
        text = """\
nmae = "x"

[segments.buyers]
description = "d"
when = "order_30d > 5 and device > 3"
minimum_stay = "1 week"

[segments.Loud]
when = 5
"""
        assert problems_of(text) == [
            'r.toml:1:1: unknown key "nmae"; did you mean "name"?',
            'r.toml:5:9: segment "buyers": unknown feature "order_30d"; did you mean "orders_30d"?',
            'r.toml:5:27: segment "buyers": `device` is a text and `3` is a number: they never compare',
            'r.toml:6:1: segment "buyers": "1 week" is no duration: write a whole number and ms, s, m, h or d,'
            ' such as "1d"',
            'r.toml:8:1: segment "Loud": this name is not allowed: use a-z, 0-9 and -, beginning with a letter or'
            " digit, at most 100 characters",
            'r.toml:8:1: segment "Loud": needs a description: one sentence that says who is in it',
            'r.toml:9:1: segment "Loud": when must be a text in quotes',
        ]

    @pytest.mark.parametrize(
        ("text", "place"),
        [
            ("[segments.s]\ndescription='d'\nwhen = 'wrong > 1'", "3:9"),
            ('[segments.s]\ndescription="d"\nwhen = "orders_7d > 1 and wrong > 1"', "3:27"),
            ('[segments.s]\ndescription="d"\nwhen = "\\"é\\" in top_categories and wrong > 1"', "3:37"),
            ('[segments.s]\ndescription="d"\nwhen = "device == \\"\\u00e9\\U0001F600\\" or wrong > 1"', "3:43"),
            ('[segments.s]\ndescription="d"\nwhen = """\n  orders_7d > 1\n  and wrong > 1\n"""', "5:7"),
            ('[segments.s]\r\ndescription="d"\r\nwhen = """\r\n  orders_7d > 1\r\n  and wrong > 1"""', "5:7"),
            ('[segments.s]\ndescription="d"\nwhen = """orders_7d > 1 \\\n\n   and wrong > 1"""', "5:8"),
            ("[segments.s]\ndescription='''d # ' \"\n[x]'''\nwhen = '''\nwrong > 1'''", "5:1"),
            ("# 'c\nsegments.s.description = 'd' # x\nsegments.'s' . \"when\"   =  'wrong > 1'", "3:29"),
            ("[segments]\ns = {description = ',}', when = 'not wrong > 1'}", "2:38"),
            ("segments = {s = {description = ',}', when = 'not wrong > 1'}}", "1:50"),
            ("[segments.s]\ndescription = '''''d'''''\nwhen = 'wrong > 1'", "3:9"),
        ],
    )
    def test_a_fault_is_found_in_every_kind_of_toml(self, text: str, place: str) -> None:
        """Quotes, escapes, several lines, comments, dotted keys and inline tables."""
        (problem,) = problems_of(text)
        assert problem.startswith(f'r.toml:{place}: segment "s": unknown feature "wrong"')

    def test_a_fault_of_toml_itself_has_its_line(self) -> None:
        """Also a segment that is defined twice."""
        assert problems_of("[segments.s]\nwhen = ") == ["r.toml:2:8: is no TOML: Invalid value"]
        twice = "[segments.s]\nwhen='a'\n[segments.s]\nwhen='b'"
        assert problems_of(twice)[0].startswith("r.toml:3:")

    def test_a_file_that_cannot_be_read_is_named(self, tmp_path: Path) -> None:
        """Missing, or no text."""
        missing, binary = tmp_path / "missing.toml", tmp_path / "binary.toml"
        binary.write_bytes(b"\xff\xfe\x00")
        with pytest.raises(RuleError, match=r"missing.toml: cannot be read: No such file"):
            load_rules(missing)
        with pytest.raises(RuleError, match=r"binary.toml: is no UTF-8 text"):
            load_rules(binary)

    def test_the_error_survives_pickling(self) -> None:
        """It may cross a process border."""
        with pytest.raises(RuleError) as caught:
            parse_rules("")
        assert pickle.loads(pickle.dumps(caught.value)).problems == caught.value.problems  # noqa: S301 - our own


class TestStructure:
    """What a file and a segment consist of."""

    def test_a_file_without_segments_is_no_rule_file(self) -> None:
        """An empty file would silently empty every segment."""
        assert "has no segments" in problems_of("")[0]
        assert "has no segments" in problems_of("segments = 5")[0]

    @pytest.mark.parametrize(
        ("body", "fault"),
        [
            ("", "has no condition"),
            ("leave = 'orders_7d == 0'", "has no condition"),
            ("when = 'orders_7d > 0'\nleave = 'orders_7d == 0'", "has when beside enter or leave"),
            ("enter = 'orders_7d > 0'\nleave = '(orders_7d)>0'", "enter and leave are the same condition"),
            ("when = ''", "when is empty"),
            ("when = true", "when must be a text in quotes"),
            ("when = 'True'\nminimum_stay = 5", "minimum_stay must be a text in quotes"),
            ("when = 'True'\nminimum_stay = '1.5d'", '"1.5d" is no duration'),
            ("when = 'True'\nminimum_stay = '-1d'", '"-1d" is no duration'),
            ("when = 'True'\nminimum_stay = '999999d'", "is longer than 3650 days"),
            ("when = 'True'\nminimum-stay = '1d'", 'unknown key "minimum-stay"; did you mean "minimum_stay"?'),
        ],
    )
    def test_faults_of_a_segment(self, body: str, fault: str) -> None:
        """Missing, doubled and mistyped keys."""
        (problem,) = problems_of(f"[segments.s]\ndescription = 'd'\n{body}")
        assert fault in problem

    def test_segments_are_at_most_256(self) -> None:
        """A bound, so that masks and profiles stay small."""
        text = "".join(f"[segments.s{n}]\ndescription='d'\nwhen='orders_7d > {n}'\n" for n in range(257))
        assert problems_of(text) == ["r.toml:1:1: has 257 segments, at most 256 are allowed"]
        fewer = parse_rules(text[: text.index("[segments.s256]")])
        assert fewer.step((200,), 0, -1) == (1 << 200) - 1


class TestCircles:
    """Segments that refer to each other."""

    def test_a_circle_is_told_once_with_its_way(self) -> None:
        """At the reference that begins it."""
        text = "".join(
            f"[segments.{name}]\ndescription = 'd'\nwhen = 'segment(\"{other}\")'\n"
            for name, other in ("ab", "bc", "ca")
        )
        assert problems_of(text) == ['r.toml:3:9: segment "a": refers to itself in a circle: a -> b -> c -> a']

    def test_a_segment_cannot_refer_to_itself(self) -> None:
        """Not even to leave."""
        assert fault_of('segment("s")') == "refers to itself in a circle: s -> s"

    def test_two_circles_are_two_faults(self) -> None:
        """Beside other faults."""
        text = "".join(
            f"[segments.{name}]\ndescription = 'd'\nwhen = 'segment(\"{other}\")'\n"
            for name, other in ("ab", "ba", "cd", "dc", "ex")
        )
        found = problems_of(text)
        assert [problem.partition(": ")[0] for problem in found] == ["r.toml:3:9", "r.toml:9:9", "r.toml:15:9"]
        assert 'there is no segment "x"' in found[2]


class TestExpressions:
    """What a condition may not say, and what the message says instead."""

    @pytest.mark.parametrize(
        ("condition", "fault"),
        [
            ("orders_30d = 5", "when cannot be read: compare with == instead of ="),
            ("orders_30d > ", "when cannot be read"),
            ("orders_30d > 5)", "when cannot be read: unmatched ')'"),
            ("orders_7d > 1) or (orders_7d > 5", "when cannot be read: unmatched ')'"),
            ("orders_60d > 5", 'unknown feature "orders_60d"; did you mean'),
            ("revenue_60d_cents > 5", "(windows: 1, 7, 14, 30, 90 days)"),
            ("true", 'did you mean "True"?'),
            ("days > 5", '"days" is a function: write days(…)'),
            ("orders_30d", "`orders_30d` is a number, no condition"),
            ("orders_30d and cart_open", "`orders_30d` is a number, no condition"),
            ("device", "`device` is a text, no condition"),
            ("5 > 3", "both constants"),
            ("orders_30d > 'five'", "they never compare"),
            ("orders_30d > True", "they never compare"),
            ("device > 'a'", "a text can only be compared by == and !="),
            ("cart_open >= True", "a truth value can only be compared by == and !="),
            ("cart_open is True", "write == or != instead of is"),
            ("top_categories == 'shoes'", "a list can only be asked what is in it"),
            ("'shoes' in device", "after `in` stands top_categories or a list"),
            ("device in ('tv')", "after `in` stands top_categories or a list"),
            ("device in ()", "write it as"),
            ("device in ('tv', 5)", "they never compare"),
            ("device in ('tv', location)", "is no constant"),
            ("5 in top_categories", "stands a text"),
            (
                "revenue_30d_cents > 19.99",
                "money is in whole minor units: in a currency with cents, write 1999 for 19.99",
            ),
            ("20.0 == average_order_cents", "write 2000 for 20.0"),
            ("revenue_30d_cents in (1, 2.5)", "write 250 for 2.5"),
            ("revenue_30d_cents > days(1)", "they never compare"),
            ("last_seen_ms > days(1)", "they never compare"),
            ("revenue_30d_cents + session_ms_7d > 1", "mixes cents with ms"),
            ("min(revenue_30d_cents, session_ms_7d) > 1", "mixes cents with ms"),
            ("orders_30d / 0 > 1", "divides by zero"),
            ("orders_30d > 1 // 0", "divides by zero"),
            ("orders_30d > 9007199254740993", "at most 2**53"),
            ("orders_30d > 1e999", "at most 2**53"),
            ("orders_30d > 9007199254740992 * 9007199254740992", "at most 2**53"),
            ("orders_30d > days(999999999999)", "at most 2**53"),
            ("orders_30d ** 2 > 5", "of arithmetic there are + - * / // %"),
            ("orders_30d & 1 > 5", "of arithmetic there are + - * / // %"),
            ("~orders_30d > 5", "`~orders_30d`: of arithmetic there are + - * / // %"),
            ("device * 2 == 'tvtv'", "is a text: * takes numbers"),
            ("recency_ms + 1 > 5", "grows as time passes"),
            ("recency_ms > purchase_interval_ms", "grows as time passes"),
            ("recency_ms in (1, 2)", "grows as time passes"),
            ("abs(recency_ms) > 5", "grows as time passes"),
            ("engagement == 2", "falls as time passes"),
            ("engagement / 2 > 2", "falls as time passes"),
            ("engagement > orders_7d", "falls as time passes"),
            ("days(orders_30d) > 5", "days() takes a number that is not negative"),
            ("orders_30d > days(-1)", "days() takes a number that is not negative"),
            ("recency_ms > days(1, 2)", "days() takes 1 argument"),
            ("recency_ms > days(n=1)", "days() takes 1 argument"),
            ("max(orders_7d) > 1", "max() takes two or more numbers"),
            ("min(*orders_7d, 1) > 1", "min() takes two or more numbers"),
            ("len(device) > 1", 'there is no function "len"'),
            ("day(1) > orders_7d", 'did you mean "days"?'),
            ("segment(frequent-buyers)", 'segment() takes a name in quotes, such as segment("high-value")'),
            ("segment('t')", 'there is no segment "t"'),
            ("segment('s') == True", "segment() is a condition"),
            ("absent(5)", "absent() takes the name of a feature"),
            ("absent(nothing)", 'unknown feature "nothing"'),
            (
                "present(buys_7d)",
                "buys_7d is a score, no feature: present() does not take it; compare it with a number",
            ),
            ("engagement > percentile(rfm_recency, 5)", "rfm_recency is a score, no feature: percentile()"),
            ("revenue_total_cents > percentile(device, 80)", "percentile() takes a feature that is a number"),
            ("revenue_total_cents > percentile(revenue_total_cents, 100)", "between 0 and 100"),
            ("(orders_7d > 1) == 2", "is a condition: join conditions"),
            ("orders_7d if cart_open else 2 > 1", "there is no if-else"),
            ("None", "is no number and no text"),
            ("orders_7d > 5j", "is no number and no text"),
            ("device == b'tv'", "is no number and no text"),
            ("orders_7d > ...", "is no number and no text"),
        ],
    )
    def test_faults_of_a_condition(self, condition: str, fault: str) -> None:
        """Each with a message that says what to write."""
        assert fault in fault_of(condition)

    def test_every_fault_of_a_condition_is_told(self) -> None:
        """Both sides of an `and`, both sides of a comparison."""
        found = problems_of("[segments.s]\ndescription = 'd'\nwhen = 'a > b and c'")
        assert [problem.split(":")[2] for problem in found] == ["9", "13", "19"]
