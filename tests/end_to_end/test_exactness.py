"""What a run exports equals what SQL and a batch say of the same events."""

import json
from collections import defaultdict
from itertools import groupby
from math import log2
from operator import attrgetter
from pathlib import Path

import pytest
from comparisons import check_memberships, differences
from msgspec.structs import asdict
from segmill_runs import CUSTOMER, Run, accepted, read, run

from jobs.examples import ONLINE_RETAIL
from jobs.runtime.valkey import SNAPSHOT, EmbeddedValkey
from schemas.keys import POPULAR_CLICKED, POPULAR_SHOWN, Keys
from schemas.settings import Settings
from state.experiments.sums import Outcome, Sums
from tests.oracle.clicks import batch_clicks
from tests.oracle.events import parse_events
from tests.oracle.experiments import outcomes_at
from tests.oracle.similar import batch_similar

pytestmark = pytest.mark.slow
subject = attrgetter("subject")


@pytest.fixture(scope="module")
def retail_run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return run(tmp_path_factory.mktemp("retail"))


@pytest.fixture(scope="module")
def retail_lines() -> list[bytes]:
    return accepted(ONLINE_RETAIL, "GBP")


class TestHardLog:
    def test_features_of_every_customer(self, hard_run: Run, hard_log: Path) -> None:
        """Shuffled, repeated, with refunds first."""
        assert differences(hard_run, accepted(hard_log)) == []

    def test_similar_items_of_every_product(self, hard_run: Run, hard_log: Path) -> None:
        """Scores to the last digit."""
        expected = batch_similar(accepted(hard_log), hard_run.summary["as_of_ms"])
        assert hard_run.similar == expected
        assert all(expected.values())

    def test_clicks_of_every_product(self, hard_run: Run, hard_log: Path, tmp_path: Path) -> None:
        """Sums of what was shown and of what was clicked of it, as Redis has them: their logarithms."""
        clicks = batch_clicks(accepted(hard_log), hard_run.summary["as_of_ms"])
        with EmbeddedValkey(tmp_path, hard_run.out / SNAPSHOT) as valkey:
            for scope, sums in ((POPULAR_SHOWN, clicks.shown), (POPULAR_CLICKED, clicks.clicked)):
                found = valkey.client().zrange(Keys().popular(scope), 0, -1, withscores=True)
                expected = {product.encode(): pytest.approx(log2(value), abs=1e-9) for product, value in sums.items()}
                assert dict(found) == expected
                assert expected

    def test_outcomes_of_every_variant(self, hard_run: Run, hard_log: Path) -> None:
        """Sums over everybody, to the cent, of what was shown, clicked and bought within the window."""
        expected: defaultdict[str, Sums] = defaultdict(Sums)
        by_customer = groupby(sorted(parse_events(accepted(hard_log)), key=subject), subject)
        for _, events in by_customer:
            windows_ms = Settings().conversion_window_ms, Settings().holdout_window_ms
            outcomes = outcomes_at(events, hard_run.summary["as_of_ms"], *windows_ms)
            for one in outcomes.values():
                expected[one.variant].add(Outcome(one.shown, one.clicked, one.orders, one.cents))
        lines = read(hard_run.export / "experiments.jsonl")
        found = {line["variant"]: line for line in lines if not line["segment"]}
        assert set(found) == set(expected) == {"a", "b"}
        for variant, sums in expected.items():
            assert asdict(sums).items() <= found[variant].items()
            assert sums.cents > 0

    def test_changes_tell_the_memberships(self, hard_run: Run) -> None:
        """To a subscriber who replays them into a map."""
        check_memberships(hard_run)
        assert hard_run.summary["segment_changes"] == len(read(hard_run.out / "segment-changes.jsonl"))

    def test_outcomes_are_those_of_the_truth(self, hard_run: Run, hard_log: Path) -> None:
        """And add up to what was read."""
        summary, counts = hard_run.summary, json.loads(hard_log.with_name("truth.json").read_bytes())["counts"]
        assert summary["read"] == summary["rows"] == counts["lines"]
        assert summary["duplicate"] == counts["duplicates"]
        assert summary["rejected_by_reason"] == counts["malformed"]
        assert summary["rejected"] == sum(counts["malformed"].values()) == len(read(hard_run.out / "rejected.jsonl"))
        assert summary["late"] == 0
        assert summary["applied"] + summary["suppressed"] == counts["events"]
        assert summary["as_of_ms"] == counts["last_ms"]

    def test_nothing_personal_is_said(self, hard_run: Run) -> None:
        """No customer's id on standard output or standard error."""
        assert hard_run.said
        assert not CUSTOMER.search(hard_run.said)


class TestOnlineRetail:
    def test_features_of_every_customer(self, retail_run: Run, retail_lines: list[bytes]) -> None:
        """Of all 4,372."""
        assert differences(retail_run, retail_lines) == []
        assert len(retail_run.features) == retail_run.summary["customers"] == 4_372

    def test_similar_items_of_every_product(self, retail_run: Run, retail_lines: list[bytes]) -> None:
        """Scores to the last digit."""
        assert retail_run.similar == batch_similar(retail_lines, retail_run.summary["as_of_ms"], "GBP")

    def test_changes_tell_the_memberships(self, retail_run: Run) -> None:
        """To a subscriber who replays them into a map."""
        check_memberships(retail_run)

    def test_every_row_is_accounted_for(self, retail_run: Run) -> None:
        """541,909 lines: 18,536 orders, 3,654 refunds of unknown orders, 3,710 invoices without a customer."""
        summary = retail_run.summary
        assert summary["rows"] == 541_909
        assert (summary["read"], summary["applied"], summary["rejected"]) == (25_900, 22_190, 3_710)
        assert summary["rejected_by_reason"] == {"no_subject": 3_710}
        assert summary["refunds_without_order"] == 3_654
        assert summary["currency"] == "GBP"
