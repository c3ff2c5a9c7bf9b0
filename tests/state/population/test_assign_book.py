"""What the assign operator was told: views and rules, through restarts and other submissions."""

import json
from random import Random

import pytest
from test_in_time import SPEND, changes, standing, view

from state.local import DictStore, DictView
from state.packing import pack
from state.population.assign import AssignLogic
from state.population.assign_book import AssignBook
from state.population.refusal import PopulationError
from state.population.rules_kept import RULES_KEPT
from state.rules.ruleset import RuleSet, parse_rules

START_MS = 1_750_000_000_000


def rules(number: int) -> RuleSet:
    return parse_rules(f"[segments.upper-{number}]\ndescription = 'd'\nwhen = '{SPEND} > percentile({SPEND}, 50)'\n")


def record(one: RuleSet) -> bytes:
    return json.dumps({"control_id": "a", "kind": "rules", "rules": one.text}).encode()


def book(submitted: RuleSet) -> AssignBook:
    return AssignBook(AssignLogic(submitted.remainder), submitted)


def entered(one: AssignBook, under: RuleSet, store: DictStore | None = None) -> list[str]:
    """The segments of rules that a customer above the median enters, if the book knows rules and view."""
    told = standing(START_MS + 10, 30)._replace(rules=under.version)
    _, outputs = one.on_standing("a", told.packed(), START_MS, store or DictStore())
    return [segment for segment, change, *_ in changes(outputs).get("a", []) if change == "entered"]


class TestRestarts:
    def test_views_and_rules_are_known(self) -> None:
        """Before anything else comes."""
        kept, one = DictView(), book(rules(1))
        one.on_start(kept)
        assert one.on_broadcast(view(1, START_MS, 20).packed(), kept)
        assert one.on_broadcast(record(rules(2)), kept)
        again = book(rules(1))
        assert entered(again, rules(1)) == []
        assert again.on_start(kept)
        assert entered(again, rules(1)) == ["upper-1"]
        assert entered(again, rules(2)) == ["upper-2"]

    def test_each_wakes_everybody(self) -> None:
        """The first start, with nobody there, does not; who lives under rules before is seen with them still."""
        kept = DictView()
        assert not book(rules(1)).on_start(kept)
        assert book(rules(1)).on_start(kept)
        other = book(rules(2))
        assert other.on_start(kept)
        assert book(rules(2)).on_start(kept)
        other.on_broadcast(view(1, START_MS, 20).packed(), kept)
        assert entered(other, rules(1)) == ["upper-1"]

    @pytest.mark.parametrize("seed", range(5))
    def test_after_every_call(self, seed: int) -> None:
        """The same is kept, and the same rules are known, as if there had been no restart."""
        random, numbers = Random(seed), range(RULES_KEPT + 6)
        steady, kept, restarted = book(rules(0)), DictView(), DictView()
        steady.on_start(kept)
        book(rules(0)).on_start(restarted)
        for number in range(60):
            payload = record(rules(random.choice(numbers)))
            if random.random() < 0.2:
                payload = view(max(1, number - random.choice((0, 10))), START_MS, 20).packed()
            one = book(rules(0))
            assert one.on_start(restarted)
            assert one.on_broadcast(payload, restarted) == steady.on_broadcast(payload, kept)
            assert restarted == kept
        again = book(rules(0))
        again.on_start(restarted)
        known = [[bool(entered(which, rules(one))) for one in numbers] for which in (steady, again)]
        assert known[0] == known[1]
        assert sum(known[0]) == RULES_KEPT

    def test_newer_bytes_are_refused(self) -> None:
        """With a word about it."""
        with pytest.raises(PopulationError, match="version 99"):
            book(rules(1)).on_start(DictView(rules=pack([99, "v", []])))


class TestBroadcast:
    def test_other_records_do_nothing(self) -> None:
        """Settings and publications are the customers' own."""
        kept, one = DictView(), book(rules(1))
        one.on_start(kept)
        before = dict(kept)
        for control in (b'"kind": "settings", "settings": {"max_future_ms": 1}', b'"kind": "publish"'):
            assert not one.on_broadcast(b'{"control_id": "a", %s}' % control, kept)
        assert kept == before

    def test_an_older_view_is_none(self) -> None:
        """It is neither in force nor kept; the same one once more wakes nobody."""
        kept, one = DictView(), book(rules(1))
        one.on_start(kept)
        newest = view(5, START_MS, 20).packed()
        assert one.on_broadcast(newest, kept)
        before = dict(kept)
        for packed in (newest, view(4, START_MS, 400).packed()):
            assert not one.on_broadcast(packed, kept)
            assert kept == before
        assert entered(one, rules(1)) == ["upper-1"]

    def test_there_is_a_bound(self) -> None:
        """The newest rules are known; published once more, rules are as new as any."""
        kept, one = DictView(), book(rules(0))
        one.on_start(kept)
        one.on_broadcast(view(1, START_MS, 20).packed(), kept)
        for number in (*range(1, RULES_KEPT), 0, RULES_KEPT):
            one.on_broadcast(record(rules(number)), kept)
        assert [number for number in range(RULES_KEPT + 1) if not entered(one, rules(number))] == [1]
