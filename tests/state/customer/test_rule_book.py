"""What the control stream said: who wins, what is kept for how long, and what a restart changes."""

import json
from typing import Any

import msgspec
import pytest
from customer_runs import NOW_MS, SIMILAR
from ruled_runs import control
from rules_twice import ALL

from schemas.control import Control
from schemas.settings import DAY_MS, HOUR_MS, Settings
from state.channels import Channel
from state.customer.book import Book, BookVersionError
from state.customer.calendar import REIGNS_MAX, Calendar
from state.customer.logic import CustomerLogic
from state.customer.program import Program
from state.local import DictView, LocalRun

RULES = {which: rules for which, (rules, _) in ALL.items()}
PROGRAMS = {which: Program.of(Settings(), rules) for which, rules in RULES.items()}
NO_TIME_MS = -(1 << 63)  # a watermark that has not come yet


def rules_record(control_id: str, which: str, effective_ms: int | None = None) -> Control:
    return Control(control_id, "rules", rules=RULES[which].text, effective_ms=effective_ms)


def timeline(calendar: Calendar) -> list[tuple[int, str]]:
    names = {rules.version: which for which, rules in RULES.items()}
    return [(from_ms, names[program.rules.version]) for _, from_ms, program in calendar.reigns]


class TestCalendar:
    def test_what_is_published_replaces_what_was_to_come(self) -> None:
        calendar = Calendar.of(Settings(), RULES["test"])
        calendar.add(PROGRAMS["other"], 100)
        calendar.add(PROGRAMS["default"], 200)
        calendar.add(PROGRAMS["test"], 200)
        assert timeline(calendar) == [(-1, "test"), (100, "other"), (200, "test")]
        calendar.add(PROGRAMS["default"], 50)
        assert timeline(calendar) == [(-1, "test"), (50, "default")]
        assert [number for number, _, _ in calendar.reigns] == [0, 4]
        assert calendar.program(RULES["other"].version) is not None  # somebody ahead of the watermark may know it

    def test_what_comes_for_a_customer(self) -> None:
        """At its time; or at the customer's own clock, and then only the newest of what it has missed."""
        calendar = Calendar.of(Settings(), RULES["test"])
        calendar.add(PROGRAMS["other"], 100)
        calendar.add(PROGRAMS["default"], 200)
        expected = {(0, 50): (1, 100), (0, 150): (1, 150), (0, 250): (2, 250), (1, 150): (2, 200), (1, 200): (2, 200)}
        for (number, clock_ms), coming in expected.items():
            found = calendar.after(number, clock_ms)
            assert found is not None
            assert found[:2] == coming
        assert calendar.after(2, 999) is None

    def test_old_rules_are_forgotten_once_nothing_can_ask_for_them(self) -> None:
        calendar = Calendar.of(Settings(), RULES["test"])
        calendar.add(PROGRAMS["other"], 100)
        calendar.add(PROGRAMS["default"], 200)
        calendar.forget(100)
        assert len(calendar.reigns) == 3
        calendar.forget(101)
        assert timeline(calendar) == [(-1, "other"), (200, "default")]
        calendar.forget(1 << 60)
        assert timeline(calendar) == [(-1, "default")]

    def test_there_is_a_bound(self) -> None:
        calendar = Calendar.of(Settings(), RULES["test"])
        for number in range(3 * REIGNS_MAX):
            calendar.add(PROGRAMS[("other", "test")[number % 2]], number // 2)
            calendar.forget(0)
        assert len(calendar.reigns) <= REIGNS_MAX
        assert len(calendar.past) <= REIGNS_MAX


class TestBook:
    def test_a_restart_changes_nothing(self) -> None:
        """Calendar, settings and the names of records that were seen are as before."""
        view, book = DictView(), Book(Settings(), RULES["test"])
        assert book.load(view, NO_TIME_MS) is None
        assert book.take(rules_record("1", "other", 100), view, 50) == 100
        assert book.take(rules_record("2", "default"), view, 200) == 200
        assert book.take(Control("3", "settings", settings={"profile_interval_ms": 5}), view, 250) is None
        again = Book(Settings(), RULES["test"])
        assert again.load(view, NO_TIME_MS) is None
        assert timeline(again.calendar) == timeline(book.calendar) == [(-1, "test"), (100, "other"), (200, "default")]
        assert again.settings == book.settings == Settings(profile_interval_ms=5)
        assert again.take(rules_record("2", "test"), view, 300) is None

    def test_another_submission_counts_as_a_record_of_its_start(self) -> None:
        """It wins over what was published before, once; what is published later wins over it."""
        view, book = DictView(), Book(Settings(), RULES["test"])
        book.load(view, NO_TIME_MS)
        book.take(rules_record("1", "other"), view, 100)
        other = Book(Settings(), RULES["default"])
        assert other.load(view, NO_TIME_MS) == 100
        assert timeline(other.calendar)[-1] == (100, "default")
        assert other.take(rules_record("2", "test"), view, 300) == 300
        restarted = Book(Settings(), RULES["default"])
        assert restarted.load(view, NO_TIME_MS) is None
        assert timeline(restarted.calendar)[-1] == (300, "test")

    def test_the_same_rules_again_do_nothing(self) -> None:
        """But they put aside what was to come."""
        view, book = DictView(), Book(Settings(), RULES["test"])
        book.load(view, NO_TIME_MS)
        assert book.take(rules_record("1", "test"), view, 100) is None
        assert book.take(rules_record("2", "other", 1_000), view, 100) == 1_000
        assert book.take(rules_record("3", "test"), view, 200) == 200
        assert timeline(book.calendar) == [(-1, "test"), (200, "test")]

    def test_settings_of_another_submission_win(self) -> None:
        view, book = DictView(), Book(Settings(), RULES["test"])
        book.load(view, NO_TIME_MS)
        book.take(Control("1", "settings", settings={"profile_interval_ms": 5}), view, 0)
        for submitted, expected in ((Settings(), 5), (Settings(max_future_ms=9), 60_000), (Settings(), 60_000)):
            again = Book(submitted, RULES["test"])
            again.load(view, NO_TIME_MS)
            assert again.settings.profile_interval_ms == expected

    def test_texts_go_with_their_rules(self) -> None:
        settings = Settings(allowed_lateness_ms=HOUR_MS, max_future_ms=HOUR_MS)
        view, book = DictView(), Book(settings, RULES["test"])
        book.load(view, NO_TIME_MS)
        for number, which in enumerate(("other", "default", "other", "test")):
            book.take(rules_record(str(number), which), view, number * DAY_MS)
        assert {key for key in view if key != "book"} == {f"rules:{RULES[one].version}" for one in ("other", "test")}

    def test_a_book_of_another_version_is_refused(self) -> None:
        view = DictView(book=msgspec.msgpack.encode([2, "something else"]))
        with pytest.raises(BookVersionError, match="version 2; this program reads version 1"):
            Book(Settings(), RULES["test"]).load(view, NO_TIME_MS)


class TestRefusals:
    def run(self) -> LocalRun:
        local = LocalRun(CustomerLogic(Settings(), RULES["test"], SIMILAR, now_ms=lambda: NOW_MS), 0)
        local.start()
        return local

    def rejected(self, local: LocalRun, raw: bytes) -> dict[str, Any]:
        ((channel, _, line),) = local.control(b"control:0:7\x1f" + raw)
        assert channel == Channel.REJECTED
        record = json.loads(line)
        assert (record["reason"], record["place"], record["offset"]) == ("invalid_control", "control:0:7", 7)
        assert timeline(local.logic.calendar) == [(-1, "test")]
        return dict(record)

    def test_a_faulty_rule_file_says_where(self) -> None:
        text = RULES["test"].text.replace("views_7d >= 3", "views_8d >= 3")
        record = {"control_id": "a", "kind": "rules", "rules": text}
        assert "rules:4:9" in self.rejected(self.run(), json.dumps(record).encode())["detail"]

    @pytest.mark.parametrize("raw", [b"", b"{}", b"\xff", b'{"control_id":"a","kind":"settings","settings":{"x":1}}'])
    def test_anything_else_is_refused_too(self, raw: bytes) -> None:
        self.rejected(self.run(), raw)

    def test_a_setting_takes_effect_with_the_next_event(self) -> None:
        local = self.run()
        local.control(b'control:0:1\x1f{"control_id":"a","kind":"settings","settings":{"max_record_bytes":10}}')
        ((channel, _, line),) = local.feed("c", None, b"events:0:1\x1f" + b" " * 11)
        assert channel == Channel.REJECTED
        assert json.loads(line)["reason"] == "record_too_large"

    def test_what_was_not_refused_takes_effect(self) -> None:
        """Customers check no record with settings that others do not know: a short record is for events."""
        local = self.run()
        local.control(b'control:0:1\x1f{"control_id":"a","kind":"settings","settings":{"max_record_bytes":10}}')
        local.control(control("b", "other"))
        assert [which for _, which in timeline(local.logic.calendar)] == ["test", "other"]

    def test_what_is_accepted_says_nothing(self) -> None:
        assert self.run().control(control("a", "other")) == []


class TestPopulations:
    """A book that is opened with a population, and was kept without one."""

    def test_what_is_to_come_stays(self) -> None:
        """Everybody takes up the rules in force anew, and those to come when they come."""
        view = DictView()
        book = Book(Settings(), RULES["test"])
        book.load(view, NO_TIME_MS)
        book.take(rules_record("a", "other", 100), view, 50)
        book.take(rules_record("b", "default", 1_000), view, 150)
        for watermark_ms, from_ms, expected in (
            (200, 200, [(-1, "test"), (100, "other"), (200, "other"), (1_000, "default")]),
            (2_000, 2_000, [(-1, "test"), (100, "other"), (1_000, "default"), (2_000, "default")]),
        ):
            kept = DictView(view)
            watching = Book(Settings(), RULES["test"], watching=True)
            assert watching.load(kept, watermark_ms) == from_ms
            assert timeline(watching.calendar) == expected
            again = Book(Settings(), RULES["test"], watching=True)
            assert again.load(kept, watermark_ms) is None
            assert again.calendar.reigns[-1][:2] == watching.calendar.reigns[-1][:2]
            assert timeline(again.calendar) == expected
