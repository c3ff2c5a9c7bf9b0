"""What the logic counts for the metrics, held against what it gives out."""

import json
from collections import Counter
from random import Random

import pytest
from customer_runs import PATIENT, in_order, key_and_time, run_live, shuffled
from nasty_streams import SPICES, nasty_stream

from schemas.settings import DAY_MS, Settings
from state.channels import Channel
from state.tally import CustomerTally

BROKEN = [b"{", b"[]", b'{"event_id": "e", "type": "erase", "timestamp": 1714564850000, "customer_id": ""}']
HASTY = Settings(allowed_lateness_ms=DAY_MS)


class TestTally:
    @pytest.mark.parametrize("seed", range(3))
    @pytest.mark.parametrize("spice", SPICES)
    def test_it_says_what_came_out(self, spice: str, seed: int) -> None:
        """Each event has one outcome; changes, rejects by reason and profile writes are those of the outputs."""
        random = Random(seed)
        lines = nasty_stream(random, 60, SPICES[spice])
        lines = shuffled([*lines, *random.sample(lines, 10)], 3 * DAY_MS, seed)
        until_ms = max(key_and_time(line)[1] for line in lines) + 12 * DAY_MS
        finished = run_live([*lines, *BROKEN], until_ms, settings=(PATIENT, HASTY)[seed % 2])
        tally = finished.logic.tally
        rejected = sum(tally.rejected.values())
        assert tally.applied + tally.duplicate + tally.late + tally.suppressed + rejected == finished.read + 1
        assert tally.duplicate >= (10 if seed % 2 == 0 else 0)
        said = Counter((one["segment"], one["change"] == "entered") for one in finished.records())
        assert {way: count for way, count in tally.changes.items() if count} == said
        reasons = Counter(json.loads(out[2])["reason"] for out in finished.outputs if out[0] == Channel.REJECTED)
        assert reasons.pop("too_late", 0) == tally.late  # told by name, counted as late
        assert {reason: count for reason, count in tally.rejected.items() if count} == reasons
        assert tally.profiles == sum(out[0] == Channel.REDIS for out in finished.outputs)

    def test_what_an_event_causes_at_once(self) -> None:
        """Exits by time and corrections are not counted as caused at once; changes of events in order are."""
        lines = in_order(nasty_stream(Random(1), 60, SPICES["busy"]))
        finished = run_live(lines, max(key_and_time(line)[1] for line in lines) + 12 * DAY_MS)
        kinds = Counter(one["cause"]["kind"] for one in finished.records())
        assert finished.logic.tally.at_once == sum(kinds[kind] for kind in ("event", "refund", "consent", "erasure"))
        assert kinds["time"] > 0 < finished.logic.tally.at_once

    def test_every_reason_and_segment_is_there_from_the_start(self) -> None:
        """So that the first one is seen as a rise."""
        tally = CustomerTally(["a"])
        assert "no_subject" in tally.rejected
        assert tally.changes == {("a", True): 0, ("a", False): 0}
