"""Faults of a file of rules are all told, each with its place."""

from pathlib import Path

import pytest

from serving.ranking.shop_rules_file import load_shop_rules, parse_shop_rules
from state.rules.errors import RuleError

FAULTY = """\
timezone = "Europe/Atlantis"
[rules.a]
action = "promote"
[rules.b]
action = "boost"
tags = "sale"
factr = 2
[rules.c]
action = "pin"
position = 0
[rules.d]
action = "hide"
items = ["x"]
hours = "25:00-26:00"
days = ["monday"]
condition = 'orders_30d > 5 and recenc_ms < days(3)'
"""


def faults(text: str) -> list[str]:
    with pytest.raises(RuleError) as raised:
        parse_shop_rules(text, "r.toml", frozenset({"vip"}))
    return [str(problem) for problem in raised.value.problems]


class TestFaults:
    def test_all_at_once(self) -> None:
        """With line and column, and what to do."""
        assert faults(FAULTY) == [
            'r.toml:1:1: there is no time zone "Europe/Atlantis"; write one such as "Europe/Berlin"',
            'r.toml:3:1: "a": needs an action: one of pin, boost, bury, hide, only',
            'r.toml:4:1: "b": a boost needs a factor: what scores are multiplied by',
            'r.toml:4:1: "b": names no items: say which with items, categories, tags, without_tags, in_stock, new_days',
            'r.toml:6:1: "b": tags must be a list of texts such as ["a", "b"]',
            'r.toml:7:1: "b": unknown key "factr"; did you mean "factor"?',
            'r.toml:8:1: "c": a pin needs items = ["…"]: those to put there',
            'r.toml:10:1: "c": position must be a whole number from 1 to 100',
            'r.toml:14:1: "d": hours must be a span of the day such as "18:00-23:00" or "22:00-06:00"',
            'r.toml:15:1: "d": "monday" is no day; the days are mon, tue, wed, thu, fri, sat, sun',
            'r.toml:16:33: "d": unknown feature "recenc_ms"; did you mean "recency_ms"?',
        ]

    @pytest.mark.parametrize(
        ("text", "place"),
        [
            ("rules = 3", "r.toml:1:1: rules must be tables"),
            ("[rules]\na = 3", 'r.toml:2:1: "a": must be a table'),
            ("[rules.a\n", "r.toml:1:9: is no TOML"),
            ('[rules.a]\naction="hide"\nitems=["x"]\nfactor=2', 'r.toml:4:1: "a": unknown key "factor"'),
            (
                '[rules.a]\naction="hide"\nitems=["x"]\ncondition=\'segment("vpi")\'',
                'r.toml:4:12: "a": there is no segm',
            ),
            ('[rules.a]\naction="hide"\nin_stock="no"', 'r.toml:1:1: "a": names no items'),
        ],
    )
    def test_each_has_its_place(self, text: str, place: str) -> None:
        """Wherever it is."""
        assert faults(text)[0].startswith(place)

    def test_no_such_file(self, tmp_path: Path) -> None:
        """Is said in one line."""
        with pytest.raises(RuleError, match=r"none\.toml: cannot be read: No such file"):
            load_shop_rules(tmp_path / "none.toml")


class TestSound:
    def test_an_empty_file_has_no_rules(self) -> None:
        """And a population's condition is refused, as no profile answers it."""
        assert parse_shop_rules("").rules == ()
        told = faults('[rules.a]\naction="hide"\nitems=["x"]\ncondition="quartile(engagement) == 4"')
        assert "quartile(engagement) asks about all customers" in told[0]
