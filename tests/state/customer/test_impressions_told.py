"""What the items are told of impressions and clicks in all is what a recount of all events finds."""

import json
from collections.abc import Iterable
from random import Random
from typing import Any

import msgspec
import pytest
from customer_runs import PATIENT, RULES, Finished, in_order, in_time, key_and_time, run, run_live, shuffled
from item_sums import SIMILAR, Rows, expected_clicks
from msgspec.structs import replace
from nasty_streams import DAY, HOUR, MINUTE, RECOMMENDED, SECOND, SPICES, Spice, nasty_stream

from schemas.settings import DAY_MS
from state.channels import Channel
from state.customer.logic import CustomerLogic
from state.impressions.changes import EXAMINED, FULL, HALF_LIFE_MS
from state.impressions.ledger import LEDGER_MAX, LIST_MAX
from state.local import LocalRun
from state.similar.message import SUPPORT, read_message
from state.similar.weights import weight

SPICY = {
    "recommended": SPICES["recommended"],
    "one-millisecond": Spice(kinds=RECOMMENDED, recommended=True, pauses=(0,), consents=0.05, erasures=0.04),
    "long": Spice(kinds=RECOMMENDED, recommended=True, pauses=(0, SECOND, DAY), consents=0.0, erasures=0.0, products=9),
}
START_MS = 1_760_000_000_000


def found(finished: Finished) -> Rows:
    return {key: row for key, row in finished.items().items() if key.startswith(("shown|", "clicked|"))}


def last_ms(lines: Iterable[bytes]) -> int:
    return max(key_and_time(line)[1] for line in lines)


def lines_of(*events: tuple[str, dict[str, Any]]) -> list[bytes]:
    """One customer's, a minute apart."""
    return [
        json.dumps(
            {"event_id": f"e{number:03}", "customer_id": "c", "timestamp": START_MS + number * MINUTE, "type": kind}
            | details
        ).encode()
        for number, (kind, details) in enumerate(events)
    ]


def shown(product: str = "p", **details: Any) -> tuple[str, dict[str, Any]]:
    return "recommendation_shown", {"product_id": product} | details


def clicked(product: str = "p", **details: Any) -> tuple[str, dict[str, Any]]:
    return "recommendation_clicked", {"product_id": product} | details


def unit(number: int) -> int:
    """The weight of an event of `lines_of`."""
    mantissa, exponent = weight(START_MS + number * MINUTE, HALF_LIFE_MS)
    return mantissa << exponent


class TestAgainstARecount:
    @pytest.mark.parametrize("name", SPICY)
    @pytest.mark.parametrize("seed", range(8))
    def test_of_a_bounded_run(self, name: str, seed: int) -> None:
        lines = nasty_stream(Random(seed), 200, SPICY[name])
        as_of_ms = last_ms(lines) + HOUR
        assert found(run(lines, as_of_ms, similar=SIMILAR)) == expected_clicks(lines, as_of_ms)

    @pytest.mark.parametrize("name", SPICY)
    @pytest.mark.parametrize("seed", range(8))
    @pytest.mark.parametrize("cached", [20_000, 1])
    def test_of_a_live_job(self, name: str, seed: int, cached: int) -> None:
        lines = nasty_stream(Random(seed), 200, SPICY[name])
        until_ms = last_ms(lines) + DAY
        finished = run_live(lines, until_ms, cached_customers=cached, similar=SIMILAR)
        assert found(finished) == expected_clicks(lines, until_ms)

    @pytest.mark.parametrize("seed", range(6))
    def test_of_a_job_that_lets_go_of_what_is_too_late(self, seed: int) -> None:
        settings = replace(PATIENT, allowed_lateness_ms=2 * DAY_MS)
        stream = nasty_stream(Random(seed), 400, SPICY["long"], subjects=3)
        lines = in_time(shuffled(stream, 3 * DAY, seed), settings.allowed_lateness_ms)
        until_ms = last_ms(lines) + DAY
        finished = run_live(lines, until_ms, settings=settings, cached_customers=1, similar=SIMILAR)
        assert found(finished) == expected_clicks(lines, until_ms)

    @pytest.mark.parametrize("seed", range(6))
    def test_of_long_lists(self, seed: int) -> None:
        """One after the other, with clicks in between, in any order of arrival."""
        random, events = Random(seed), []
        for number in range(12):
            request = random.choice((f"r{number}", f"r{number}", f"r{number - 1}", None))
            request, lengths = (request, (5, 20, 60, 110)) if number < 11 else ("last", (70, 110))
            details = {} if request is None else {"request_id": request}
            for position in range(1, random.choice(lengths)):
                events.append(shown(f"p{random.randrange(150)}", position=position, **details))
                if random.random() < 0.1:
                    events.append(clicked(f"p{random.randrange(150)}", **details))
        lines = shuffled(lines_of(*events), 30 * MINUTE, seed)
        until_ms = last_ms(lines) + DAY
        rows = expected_clicks(lines, until_ms)
        assert found(run(lines, until_ms, similar=SIMILAR)) == rows
        assert found(run_live(lines, until_ms, cached_customers=1, similar=SIMILAR)) == rows

    def test_the_streams_are_worth_it(self) -> None:
        """Ledgers overflow, clicks find impressions and miss them, and something is left to be compared."""
        lines = nasty_stream(Random(1), 200, SPICY["long"])
        rows = expected_clicks(lines, last_ms(lines))
        supports = {kind: sum(row[""][1] for key, row in rows.items() if key.startswith(kind)) for kind in ("s", "c")}
        events = [json.loads(line)["type"] for line in dict.fromkeys(lines)]
        assert supports["s"] == 2 * LEDGER_MAX < events.count("recommendation_shown")
        assert 5 < supports["c"] < events.count("recommendation_clicked")

    @pytest.mark.parametrize("name", SPICY)
    def test_nothing_is_left_of_those_who_were_erased(self, name: str) -> None:
        lines = nasty_stream(Random(4), 150, SPICY[name])
        at_ms = last_ms(lines) + MINUTE
        erasures = [
            f'{{"event_id":"x{n}","type":"erase","timestamp":{at_ms},"customer_id":"c{n}"}}'.encode() for n in range(2)
        ]
        assert found(run_live(lines, at_ms + DAY, similar=SIMILAR))
        assert found(run_live([*lines, *erasures], at_ms + DAY, similar=SIMILAR)) == {}
        assert found(run([*erasures, *lines], at_ms + DAY, similar=SIMILAR)) == {}


class TestWhatCounts:
    def sums(self, *events: tuple[str, dict[str, Any]]) -> Rows:
        lines = lines_of(*events)
        rows = found(run(lines, last_ms(lines) + HOUR))
        assert rows == expected_clicks(lines, last_ms(lines))
        return rows

    def test_places_further_down_count_less(self) -> None:
        rows = self.sums(shown("a"), shown("b", position=1), shown("c", position=3), shown("d", position=1_000))
        assert [rows[f"shown|{item}"][""][0] for item in "abcd"] == [
            FULL * unit(0), FULL * unit(1), FULL // 2 * unit(2), EXAMINED[100] * unit(3),
        ]  # fmt: skip

    def test_a_click_weighs_as_its_impression_does(self) -> None:
        rows = self.sums(shown(), shown("q", position=9), clicked("q"))
        assert rows["clicked|q"] == {"": (FULL * unit(1), 1)}
        assert set(rows) == {"shown|p", "shown|q", "clicked|q"}

    def test_a_click_without_an_impression_counts_nothing(self) -> None:
        assert set(self.sums(clicked(), shown(), clicked("q"), clicked(request_id="r"))) == {"shown|p"}

    def test_a_click_belongs_to_the_newest_of_its_request(self) -> None:
        events = [shown(request_id="r1"), shown(request_id="r2"), clicked(request_id="r1")]
        assert self.sums(*events)["clicked|p"][""] == (FULL * unit(0), 1)
        events = [shown(request_id="r1"), shown(request_id="r2"), clicked()]
        assert self.sums(*events)["clicked|p"][""] == (FULL * unit(1), 1)

    def test_two_clicks_count_once(self) -> None:
        assert self.sums(shown(), clicked(), clicked())["clicked|p"][""][1] == 1
        assert self.sums(shown(), clicked(), shown(), clicked())["clicked|p"][""][1] == 2

    def test_only_the_newest_impressions_count(self) -> None:
        rows = self.sums(shown("old"), clicked("old"), *[shown(f"p{n}") for n in range(LEDGER_MAX)], clicked("old"))
        assert set(rows) == {f"shown|p{n}" for n in range(LEDGER_MAX)}

    @pytest.mark.parametrize("length", [60, LIST_MAX, LIST_MAX + 1])
    def test_a_long_list_counts_from_its_first_place(self, length: int) -> None:
        """Until the next one: then the newest impressions count, no more. Without a request nobody knows of a list."""
        before = [shown("before", request_id="r0")] * 30
        page = [shown(f"p{n}", position=n, request_id="r1") for n in range(1, length + 1)]
        first = max(1, length - LIST_MAX + 1)
        click = clicked(f"p{first}", request_id="r1")
        rows = self.sums(*before, *page, click)
        assert set(rows) == {f"clicked|p{first}", *(f"shown|p{n}" for n in range(first, length + 1))}
        rows = self.sums(*before, *page, click, shown("next", request_id="r2"))
        assert set(rows) == {"shown|next", *(f"shown|p{n}" for n in range(length - LEDGER_MAX + 2, length + 1))}
        anonymous = [(kind, details | {"request_id": ""}) for kind, details in page]
        assert len(self.sums(*anonymous)) == LEDGER_MAX

    def test_requests_of_any_length_are_told_apart(self) -> None:
        long = "r" * 600
        rows = self.sums(shown(request_id=long), shown(request_id=f"{long}x"), clicked(request_id=long))
        assert rows["clicked|p"][""][0] == FULL * unit(0)


class TestWhenItIsTold:
    def test_once_the_session_is_over_and_an_erasure_at_once(self) -> None:
        lines = lines_of(shown(), shown("q"), clicked())
        last, gap_ms = last_ms(lines), PATIENT.session_gap_ms

        def told(lines: list[bytes], until_ms: int) -> list[tuple[str, int]]:
            outputs = run_live(lines, until_ms).outputs
            messages = [(key, read_message(payload)) for channel, key, payload in outputs if channel == Channel.ITEM]
            return sorted((key, fields[SUPPORT]) for key, fields in messages)

        assert told(lines, last + gap_ms - 1) == []
        once = [("clicked|p", 1), ("shown|p", 1), ("shown|q", 1)]
        assert told(lines, last + gap_ms) == once
        assert told(lines, last + 9 * gap_ms) == once
        tick = f'{{"event_id":"t","customer_id":"o","timestamp":{last + 2 * gap_ms},"type":"products_searched"}}'
        erase = f'{{"event_id":"x","customer_id":"c","timestamp":{last + 2 * gap_ms},"type":"erase"}}'
        back = [(key, -count) for key, count in once]
        assert told([*lines, tick.encode(), erase.encode()], last + 2 * gap_ms) == sorted([*once, *back])


class TestPacked:
    def store_of(self, lines: list[bytes]) -> bytes:
        local = LocalRun(CustomerLogic(PATIENT, RULES, SIMILAR), 5_000)
        for line in lines:
            key, time_ms = key_and_time(line)
            local.feed(key, time_ms, b"file:1\x1f" + line)
        return local.stores["c0"].load() or b""

    def test_who_was_shown_nothing_has_nothing_of_it(self) -> None:
        """As before there were such ledgers: parts that are not there take no byte."""
        spice = replace_kinds(SPICES["busy"])
        lines = [line for line in in_order(nasty_stream(Random(2), 40, spice, subjects=1)) if b"erase" not in line]
        parts = msgspec.msgpack.decode(self.store_of(lines))
        whole = parts if parts[0] == 1 else msgspec.msgpack.decode(parts[1])
        assert len(whole[5]) == 7
        assert len(whole[1][-1]) == 8 + 4

    def test_the_bytes_do_not_depend_on_what_was_in_memory(self) -> None:
        """Taken up again after each event, or not: the same customer."""
        lines = in_order(nasty_stream(Random(6), 120, SPICY["recommended"], subjects=1))
        until_ms = last_ms(lines) + HOUR
        kept = [run_live(lines, until_ms, cached_customers=cached).customer("c0") for cached in (1, 20_000)]
        packed = [(one.fold.impressions.packed(), one.publication.packed()) for one in kept if one.fold.impressions]
        assert len(packed) == 2
        assert packed[0] == packed[1]


def replace_kinds(spice: Spice) -> Spice:
    kinds = tuple(kind for kind in spice.kinds if not kind.startswith("recommendation"))
    return Spice(kinds=kinds, pauses=spice.pauses, products=spice.products)
