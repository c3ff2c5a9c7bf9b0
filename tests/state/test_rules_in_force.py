"""Which rules the job has is what its customers' book says, told once for all of them."""

import json
from random import Random

import pytest

from schemas.settings import Settings
from state.customer.book import Book, check_control
from state.customer.calendar import REIGNS_MAX
from state.local import DictView
from state.rules.ruleset import parse_rules
from state.rules_in_force import RulesInForce

RULES = {
    n: f'name = "r{n}"\n[segments.a]\ndescription = "For tests."\nwhen = "views_7d >= {n + 1}"\n' for n in range(4)
}
PARSED = {number: parse_rules(text, "rules") for number, text in RULES.items()}
VERSIONS = {number: rules.version for number, rules in PARSED.items()}


def record(control_id: str, number: int, effective_ms: int | None = None) -> bytes:
    said = {"control_id": control_id, "kind": "rules", "rules": RULES[number]}
    if effective_ms is not None:
        said["effective_ms"] = effective_ms
    return b"control:0:1\x1f" + json.dumps(said).encode()


def newest(rules: RulesInForce, time_ms: int) -> int:
    return next(number for number, version in VERSIONS.items() if version == rules.version(time_ms))


class TestRulesInForce:
    def test_now_and_later(self) -> None:
        """Rules for later wait for their time; rules for now call them off."""
        rules = RulesInForce(Settings(), VERSIONS[0])
        assert newest(rules, -1) == 0
        rules.on_record(record("a", 1), 100)
        assert newest(rules, 100) == 1
        rules.on_record(record("b", 2, 200), 110)
        assert [newest(rules, time_ms) for time_ms in (110, 199, 200)] == [1, 1, 2]
        rules.on_record(record("c", 3), 120)
        assert [newest(rules, time_ms) for time_ms in (120, 200)] == [3, 3]

    def test_what_is_refused_or_repeated_does_nothing(self) -> None:
        rules = RulesInForce(Settings(), VERSIONS[0])
        rules.on_record(record("a", 1), 100)
        for payload in (record("a", 2), b"control:0:2\x1f{}", b"control:0:2\x1enull_value\x1enone\x1f"):
            rules.on_record(payload, 100)
        assert newest(rules, 100) == 1

    def test_a_restart_forgets_nothing(self) -> None:
        """And a record that was seen stays seen."""
        rules = RulesInForce(Settings(), VERSIONS[0])
        rules.on_record(record("a", 1), 100)
        rules.on_record(record("b", 2, 200), 100)
        again = RulesInForce(Settings(), VERSIONS[0], rules.packed())
        assert [newest(again, time_ms) for time_ms in (100, 200)] == [1, 2]
        again.on_record(record("a", 3), 300)
        assert newest(again, 300) == 2

    def test_another_submission_wins(self) -> None:
        """Over what was published before; once."""
        rules = RulesInForce(Settings(), VERSIONS[0])
        rules.on_record(record("a", 1), 100)
        submitted = RulesInForce(Settings(), VERSIONS[2], rules.packed())
        assert newest(submitted, 100) == 2
        submitted.on_record(record("b", 3), 200)
        assert newest(RulesInForce(Settings(), VERSIONS[2], submitted.packed()), 200) == 3

    def test_there_is_a_bound(self) -> None:
        rules = RulesInForce(Settings(), VERSIONS[0])
        for number in range(3 * REIGNS_MAX):
            rules.on_record(record(str(number), number % 4, 1_000 + number), 100)
        assert len(rules._reigns) == REIGNS_MAX
        assert newest(rules, 5_000) == (3 * REIGNS_MAX - 1) % 4

    def test_a_newer_state_is_refused(self) -> None:
        with pytest.raises(ValueError, match="newer program"):
            RulesInForce(Settings(), VERSIONS[0], b"\x95\x02\xa0\x90\x00\x90")

    @pytest.mark.parametrize("seed", range(20))
    def test_it_is_what_the_book_says(self, seed: int) -> None:
        """Whatever is published, and however far this clock is ahead of a customer's; with restarts in between."""
        random = Random(seed)
        view, book, rules = DictView(), Book(Settings(), PARSED[0]), RulesInForce(Settings(), VERSIONS[0])
        book.load(view, -1)
        now_ms = 0
        for number in range(12):
            now_ms += random.randrange(100)
            effective_ms = random.choice((None, now_ms + random.randrange(-100, 200)))
            payload = record(
                str(random.randrange(number + 1)), random.randrange(4), effective_ms and max(effective_ms, 0)
            )
            book.take(check_control(payload.partition(b"\x1f")[2], Settings()), view, now_ms)
            rules.on_record(payload, now_ms + random.randrange(20))
            if random.random() < 0.3:
                book, rules = Book(Settings(), PARSED[0]), RulesInForce(Settings(), VERSIONS[0], rules.packed())
                book.load(view, -1)
        for time_ms in range(now_ms + 20, now_ms + 250, 7):
            reign = [one for one in book.calendar.reigns if one.from_ms <= time_ms][-1]
            assert rules.version(time_ms) == reign.program.rules.version
