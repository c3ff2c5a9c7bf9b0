"""What the sums of experiments are told in all is what a recount of all events finds: late, twice, undone, erased."""

from collections import defaultdict
from collections.abc import Iterable
from random import Random

import pytest
from customer_runs import PATIENT, RULES, Finished, in_order, in_time, run, run_live, shuffled
from msgspec.structs import replace
from nasty_streams import DAY, HOUR, MINUTE, SECOND, Spice, nasty_stream
from oracle.events import parse_events
from oracle.experiments import outcomes_at
from state_of_experiments import tallies_of, told

from schemas.settings import DAY_MS
from state.customer.outputs import MOST_GONE
from state.experiments.exposures import MOST_EXPERIMENTS
from state.experiments.sums import Outcome, Sums
from state.experiments.tally import EVERYBODY

VARIANTS = (
    "a", "b", None, "blend=seed@2/50:50,page=wide@1/1:1", "blend=own@1/50:50", "blend=own@1/90:10", "no label,",
    "holdout=others@2/500:9500,blend=own@1/50:50", "holdout=held-out@1/500:9500",
)  # fmt: skip
KINDS = (
    "recommendation_shown", "recommendation_shown", "recommendation_clicked", "product_viewed", "order_completed",
    "order_refunded", "order_cancelled",
)  # fmt: skip
SPICES = {
    "days": Spice(kinds=KINDS, variants=VARIANTS, pauses=(0, 1, MINUTE, HOUR, DAY, 3 * DAY), erasures=0.03),
    "one-millisecond": Spice(kinds=KINDS, variants=VARIANTS, pauses=(0,), consents=0.05, erasures=0.04),
    "busy": Spice(kinds=KINDS, variants=VARIANTS, pauses=(0, SECOND, MINUTE, HOUR), consents=0.0, erasures=0.0),
}
NOON_MS = 1_760_000_000_000
WINDOW_MS, HOLDOUT_WINDOW_MS = PATIENT.conversion_window_ms, PATIENT.holdout_window_ms


def expected(lines: Iterable[bytes], as_of_ms: int) -> dict[str, dict[str, Sums]]:
    """Experiment: variant: sums of everybody."""
    by_subject = defaultdict(list)
    for event in parse_events(lines):
        by_subject[event.subject].append(event)
    sums: dict[str, dict[str, Sums]] = defaultdict(lambda: defaultdict(Sums))
    for events in by_subject.values():
        for name, one in outcomes_at(events, as_of_ms, WINDOW_MS, HOLDOUT_WINDOW_MS).items():
            sums[name][one.variant].add(Outcome(one.shown, one.clicked, one.orders, one.cents))
    return {name: dict(by_variant) for name, by_variant in sums.items()}


def found(finished: Finished) -> dict[str, dict[str, Sums]]:
    """The same of what a run told; the shares that were in force put together."""
    sums: dict[str, dict[str, Sums]] = defaultdict(lambda: defaultdict(Sums))
    for name, tally in tallies_of(finished.outputs).items():
        for cell, one in tally.cells.items():
            if cell.segment == EVERYBODY:
                sums[name][cell.variant].merge(one)
    return {name: dict(by_variant) for name, by_variant in sums.items()}


def last_ms(lines: Iterable[bytes]) -> int:
    return max(event.time_ms for event in parse_events(lines))


class TestAgainstARecount:
    @pytest.mark.parametrize("name", SPICES)
    @pytest.mark.parametrize("seed", range(12))
    def test_of_a_bounded_run(self, name: str, seed: int) -> None:
        lines = nasty_stream(Random(seed), 120, SPICES[name])
        as_of_ms = last_ms(lines) + HOUR
        assert found(run(lines, as_of_ms)) == expected(lines, as_of_ms)

    @pytest.mark.parametrize("name", SPICES)
    @pytest.mark.parametrize("seed", range(12))
    @pytest.mark.parametrize("cached", [20_000, 1])
    def test_of_a_live_job(self, name: str, seed: int, cached: int) -> None:
        lines = nasty_stream(Random(seed), 120, SPICES[name])
        until_ms = last_ms(lines) + DAY
        assert found(run_live(lines, until_ms, cached_customers=cached)) == expected(lines, until_ms)

    @pytest.mark.parametrize("seed", range(6))
    def test_of_a_job_that_lets_go_of_what_is_too_late(self, seed: int) -> None:
        settings = replace(PATIENT, allowed_lateness_ms=2 * DAY_MS)
        stream = nasty_stream(Random(seed), 300, SPICES["busy"], subjects=3)
        lines = in_time(shuffled(stream, 3 * DAY, seed), settings.allowed_lateness_ms)
        until_ms = last_ms(lines) + DAY
        finished = run_live(lines, until_ms, settings=settings, cached_customers=1)
        assert found(finished) == expected(lines, until_ms)


class TestTheWholeTallies:
    @pytest.mark.parametrize("name", SPICES)
    def test_do_not_depend_on_the_order_of_arrival(self, name: str) -> None:
        """Segments and shares included."""
        lines = nasty_stream(Random(3), 200, SPICES[name], subjects=3)
        as_of_ms = last_ms(lines) + HOUR
        packed = [
            {experiment: tally.packed() for experiment, tally in tallies_of(run(arrived, as_of_ms).outputs).items()}
            for arrived in (lines, in_order(lines), shuffled(lines, 30 * DAY, 5))
        ]
        assert packed[0] == packed[1] == packed[2]
        assert any(cell[3] for tally in packed[0].values() for cell in tally[0])  # somebody was in a segment

    def test_are_empty_after_everybody_was_erased(self) -> None:
        lines = nasty_stream(Random(4), 150, SPICES["busy"])
        after_ms = last_ms(lines) + MINUTE
        erasures = [
            f'{{"event_id":"e{n}","type":"erase","timestamp":{after_ms},"customer_id":"c{n}"}}'.encode()
            for n in range(2)
        ]
        before = found(run_live(lines, after_ms + DAY))
        assert before
        tallies = tallies_of(run_live([*lines, *erasures], after_ms + DAY).outputs)
        assert all(not tally.cells and not tally.crossed and not tally.left_out for tally in tallies.values())


class TestWhatIsTold:
    def lines(self, *events: str) -> list[bytes]:
        return [
            f'{{"event_id":"{number}","customer_id":"c","timestamp":{NOON_MS + number * MINUTE},{event}}}'.encode()
            for number, event in enumerate(events)
        ]

    def shown(self, variant: str) -> str:
        return f'"type":"recommendation_shown","product_id":"p","variant":"{variant}"'

    def test_segments_are_those_at_the_first_exposure(self) -> None:
        order = '"type":"order_completed","order_id":"o{}","total":10'
        lines = self.lines(*(order.format(n) for n in range(4)), self.shown("x=a"), *(order.format(n) for n in "456"))
        (one,) = told(run(lines, last_ms(lines) + HOUR).outputs)["x"].values()
        assert "regulars" in one.segments
        assert "frequent-buyers" not in one.segments  # which came with what was bought after it
        assert one.outcome == Outcome(1, 0, 3, 3_000)
        assert {"regulars", "frequent-buyers"} <= set(RULES.names)

    def test_the_first_variant_counts_and_crossing_over_is_told(self) -> None:
        lines = self.lines(self.shown("x=a@1/50:50"), self.shown("x=b@2/10:90"), self.shown("x=a@1/10:90"))
        (one,) = told(run(lines, last_ms(lines) + HOUR).outputs)["x"].values()
        assert (one.arm.variant, one.arm.shares, one.crossed, one.outcome.shown) == ("a", "50:50", True, 2)

    @pytest.mark.parametrize(
        ("name", "window_ms"), [("default", WINDOW_MS), ("holdout", HOLDOUT_WINDOW_MS)], ids=["experiment", "holdout"]
    )
    def test_orders_count_for_the_window_and_no_longer(self, name: str, window_ms: int) -> None:
        """That of the holdout is another one."""
        start_ms = NOON_MS
        times = (start_ms - 1, start_ms, start_ms + window_ms - 1, start_ms + window_ms)
        lines = [
            f'{{"event_id":"{n}","customer_id":"c","timestamp":{at},"type":"order_completed","order_id":"{n}","total":{10**n}}}'.encode()
            for n, at in enumerate(times)
        ]
        lines.append(f'{{"event_id":"s","customer_id":"c","timestamp":{start_ms},{self.shown(f"{name}=a")}}}'.encode())
        (one,) = told(run(lines, last_ms(lines) + HOUR).outputs)[name].values()
        assert one.outcome == Outcome(1, 0, 2, 100 * (10 + 100))

    def test_no_more_clicks_than_impressions(self) -> None:
        """Whoever clicks twice on what was shown once has clicked it."""
        clicked = self.shown("x=a").replace("_shown", "_clicked")
        lines = self.lines(clicked, self.shown("x=a"), clicked, clicked, self.shown("x=a"), clicked)
        (one,) = told(run(lines, last_ms(lines) + HOUR).outputs)["x"].values()
        assert one.outcome == Outcome(2, 2, 0, 0)

    @pytest.mark.parametrize("many", [10, MOST_EXPERIMENTS + MOST_GONE - 1])
    def test_the_experiments_that_run_make_no_room_for_others(self, many: int) -> None:
        """However many there were before: one that goes on is counted from its first impression."""
        events = [self.shown(f"holdout=others,e{number}=a") for number in range(many)]
        lines = self.lines(*events)
        tallies = tallies_of(run_live(lines, last_ms(lines) + HOUR).outputs)
        (holdout,) = [sums for cell, sums in tallies["holdout"].cells.items() if cell.segment == EVERYBODY]
        assert (holdout.customers, holdout.shown) == (1, many)

    @pytest.mark.parametrize("many", [10, MOST_EXPERIMENTS + MOST_GONE - 1])
    def test_an_erasure_takes_back_what_made_room_as_well(self, many: int) -> None:
        lines = self.lines(*[self.shown(f"holdout=others,e{number}=a") for number in range(many)], '"type":"erase"')
        tallies = tallies_of(run_live(lines, last_ms(lines) + HOUR).outputs)
        assert len(tallies) >= many  # the last one may be erased before it is told
        assert not any(tally.cells for tally in tallies.values())

    def test_a_live_job_tells_within_the_interval_and_not_at_every_event(self) -> None:
        lines = self.lines(*[self.shown("x=a")] * 1)
        burst = [lines[0].replace(b'"0"', f'"b{n}"'.encode()) for n in range(10)]
        finished = run_live(burst, last_ms(burst) + PATIENT.profile_interval_ms)
        assert [key for _, key, _ in finished.outputs if key.startswith("experiment|")] == ["experiment|x"]
        assert found(finished)["x"]["a"].shown == 10
