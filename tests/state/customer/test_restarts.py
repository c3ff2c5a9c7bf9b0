"""A live job that has just started again: it knows what it knew, but has no watermark for a moment."""

from random import Random

import pytest
from customer_runs import NOW_MS, RULES, SIMILAR, Finished, in_time, key_and_time, run_live, shuffled
from nasty_streams import SPICES, nasty_stream

from schemas.settings import DAY_MS, Settings
from state.customer.logic import CustomerLogic
from state.local import LocalRun

LATENESS_MS = 2 * DAY_MS
SETTINGS = Settings(allowed_lateness_ms=LATENESS_MS)


def restarting(lines: list[bytes], until_ms: int, random: Random) -> Finished:
    """Like `run_live`, but every third event or so is the first one of a new start."""
    local = LocalRun(CustomerLogic(SETTINGS, RULES, SIMILAR, cached_customers=1, now_ms=lambda: NOW_MS), 5_000)
    finished = Finished(local.logic, local, [], len(lines), until_ms=until_ms)
    for line in lines:
        before_ms = local.watermark_ms
        if random.random() < 0.3:
            local.watermark_ms = -1
        key, time_ms = key_and_time(line) or ("", None)
        finished.outputs += local.feed(key, time_ms, b"file:1\x1f" + line)
        local.watermark_ms = max(local.watermark_ms, before_ms)
    finished.outputs += local.feed("", until_ms + 5_000, b"nobody\x1f{}")
    return finished


def outcomes(finished: Finished) -> tuple[int, int, int]:
    """Taken, duplicate, late. (Whether an event that waits for a repair is suppressed is not counted.)"""
    tally = finished.logic.tally
    return tally.applied + tally.suppressed, tally.duplicate, tally.late


class TestRestart:
    @pytest.mark.parametrize("seed", range(3))
    @pytest.mark.parametrize("spice", SPICES)
    def test_it_changes_no_outcome(self, spice: str, seed: int) -> None:
        """What comes late, but in time, is taken as ever: also of a customer who was erased since."""
        random = Random(seed)
        lines = nasty_stream(random, 60, SPICES[spice])
        lines = in_time(shuffled([*lines, *random.sample(lines, 20)], LATENESS_MS, seed), LATENESS_MS)
        until_ms = max(key_and_time(line)[1] for line in lines) + 12 * DAY_MS
        steady = run_live(lines, until_ms, settings=SETTINGS, cached_customers=1)
        again = restarting(lines, until_ms, random)
        assert outcomes(again) == outcomes(steady)
        assert steady.logic.tally.late == 0
        assert again.memberships() == steady.memberships()
        assert again.features() == steady.features()
