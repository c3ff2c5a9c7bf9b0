"""Which profiles are written at once."""

import json

import pytest
from customer_runs import NOW_MS, PATIENT, run_live
from msgspec.structs import replace

from state.channels import Channel
from state.customer.promptness import RECENT_MS, Promptness


class TestBucket:
    def clocked(self, per_s: int) -> tuple[Promptness, list[int]]:
        now = [1_000_000]
        return Promptness(per_s, lambda: now[0]), now

    def test_so_many_a_second(self) -> None:
        prompt, now = self.clocked(10)
        allowed = 0
        for _ in range(10_000):
            allowed += prompt.allows(now[0])
            now[0] += 1
        assert allowed == 10 + 10 * 10 - 1  # what was saved up, and what ten seconds bring; the last is not whole yet

    def test_only_of_what_happened_lately(self) -> None:
        prompt, now = self.clocked(10)
        assert not prompt.allows(now[0] - RECENT_MS - 1)
        assert prompt.allows(now[0] - RECENT_MS)
        assert prompt.allows(now[0] + 5_000)  # its sender's clock is ahead

    def test_none(self) -> None:
        prompt, now = self.clocked(0)
        now[0] += 10_000
        assert not prompt.allows(now[0])

    def test_a_clock_that_is_set_back(self) -> None:
        prompt, now = self.clocked(1)
        assert prompt.allows(now[0])
        now[0] -= 500_000
        assert not prompt.allows(now[0])
        now[0] += 1_000
        assert prompt.allows(now[0])


class TestLiveJobs:
    @pytest.mark.parametrize(("per_s", "ago_ms", "expected"), [(500, 0, 5), (0, 0, 2), (2, 0, 4), (500, 3_600_000, 2)])
    def test_write_at_once_what_just_happened(self, per_s: int, ago_ms: int, expected: int) -> None:
        """Who comes for the first time, or turns a segment, is written anyway: that takes nothing out of the bucket."""
        first_ms = NOW_MS - ago_ms - 10_000
        lines = [
            json.dumps({"event_id": f"e{n}", "type": "product_viewed", "product_id": f"p{n}", "customer_id": "c",
                        "timestamp": first_ms + n * 1_000}).encode()
            for n in range(5)
        ]  # fmt: skip
        settings = replace(PATIENT, prompt_profiles_per_s=per_s)
        finished = run_live(lines, first_ms + 9_000, settings=settings)
        assert sum(channel == Channel.REDIS and key == "c" for channel, key, _ in finished.outputs) == expected
