"""Customers and their population together: what a run that ends leaves is what is true at its end."""

import json
from collections import Counter
from random import Random
from typing import Any

import pytest
from msgspec.structs import replace
from oracle.changes import effective_changes, replay_into_map
from whole_population import RULES, Left, customers, fed, logics, newest_ms

from jobs.simulation import Simulation, SimulationSettings
from schemas.settings import DAY_MS, HOUR_MS, Settings
from state.channels import Channel
from state.local import LocalRun
from state.local_population import LocalPopulation
from state.population.cluster_settings import ClusterSettings
from state.population.contributions import FeatureSketches
from state.population.publishing import PublishSettings
from state.population.score_settings import ScoreSettings
from state.population.settings import PopulationSettings
from state.rules.ruleset import parse_rules

HARD = SimulationSettings(
    events=3_000, customers=150, days=30, shuffle_ms=HOUR_MS, duplicates=0.05, malformed=0.01, refunds_first=True
)
EAGER = PopulationSettings(
    enabled=True,
    clusters=ClusterSettings(seed_at=40, least_size=3),
    percentiles=PublishSettings(tolerance=0.0, rank_tolerance=0.0),
)
"""Thresholds in force are those that are true."""
POPULATION_SEGMENTS = set(RULES.remainder.names)


def lines_of(seed: int, settings: SimulationSettings = HARD) -> list[bytes]:
    return list(Simulation(replace(settings, seed=seed)).lines())


def both(lines: list[bytes], chosen: PopulationSettings = EAGER, **more: Any) -> tuple[Left, Left]:
    """With a population, and without."""
    as_of_ms, settings = newest_ms(lines), Settings()
    with_population = fed(LocalPopulation(logics(as_of_ms, chosen, **more), settings.out_of_orderness_ms), lines)
    plain = LocalRun(customers(as_of_ms, settings, watching=False), settings.out_of_orderness_ms)
    return with_population, fed(plain, lines)


@pytest.fixture(scope="module", params=[0, pytest.param(1, marks=pytest.mark.slow)])
def runs(request: pytest.FixtureRequest) -> tuple[Left, Left]:
    return both(lines_of(request.param))


class TestOwnFacts:
    """A population changes nothing of what needs none."""

    def test_features(self, runs: tuple[Left, Left]) -> None:
        """Those of all profiles, to the last digit, RFM scores aside."""
        ours, plain = runs
        assert ours.profiles.keys() == plain.profiles.keys()
        for key, profile in plain.profiles.items():
            shown = {name: value for name, value in ours.profiles[key]["features"].items() if name[:4] != "rfm_"}
            assert shown == profile["features"]

    def test_segments(self, runs: tuple[Left, Left]) -> None:
        """The same changes at the same milliseconds, once what late events took back is left out.

        (A population makes customers live through time at once, and so say what late events correct.)
        """
        names = ("customer_id", "segment", "change", "at_ms", "since_ms")
        ours, plain = (
            sorted([record[name] for name in names] for record in effective_changes(run.changes()) if not asks(record))
            for run in runs
        )
        assert ours == plain

    def test_counts_and_items(self, runs: tuple[Left, Left]) -> None:
        """What is counted, rejected and told to the items."""
        ours, plain = (
            Counter(one for one in run.outputs if one[0] in (Channel.COUNTS, Channel.REJECTED, Channel.ITEM))
            for run in runs
        )
        assert ours == plain


def asks(record: dict[str, Any]) -> bool:
    return record["segment"] in POPULATION_SEGMENTS


class TestPopulationSegments:
    """Held to the customers' final features."""

    def test_changes_lead_to_the_memberships(self, runs: tuple[Left, Left]) -> None:
        """A subscriber has what the profiles say, entries and exits taking turns."""
        ours, _ = runs
        members = {(key, name) for key, profile in ours.profiles.items() for name in profile["segments"]}
        assert set(replay_into_map(ours.changes())) == members
        state: dict[tuple[str, str], str] = {}
        times: dict[tuple[str, str], int] = {}
        for record in filter(asks, ours.changes()):
            key = record["customer_id"], record["segment"]
            assert state.get(key, "left") != record["change"]
            assert times.get(key, 0) <= record["at_ms"]
            state[key], times[key] = record["change"], record["at_ms"]

    def test_high_value(self, runs: tuple[Left, Left]) -> None:
        """Above the true 80th percentile: in it. Below the 75th: in it only for the minimum stay."""
        ours, _ = runs
        spends = sorted(profile["features"]["revenue_total_cents"] for profile in ours.profiles.values())
        view = ours.models("view")[-1]
        told = view["percentiles"]["revenue_total_cents"]
        for point in (75, 80):
            threshold = told["points"][str(point)]
            below = sum(spend < threshold / (1 + 1 / 256) for spend in spends)
            up_to = sum(spend <= threshold for spend in spends)
            assert below / len(spends) <= point / 100 <= up_to / len(spends)
        for profile in ours.profiles.values():
            spend, since_ms = profile["features"]["revenue_total_cents"], profile["segments"].get("high-value")
            if spend > told["points"]["80"]:
                assert since_ms is not None
            elif spend < told["points"]["75"]:
                assert since_ms is None or profile["as_of_ms"] - since_ms <= 7 * DAY_MS

    def test_vip(self, runs: tuple[Left, Left]) -> None:
        """High value, and an order in 30 days."""
        ours, _ = runs
        for profile in ours.profiles.values():
            expected = "high-value" in profile["segments"] and profile["features"]["orders_30d"] >= 1
            assert ("vip" in profile["segments"]) == expected

    def test_profiles_have_it_all(self, runs: tuple[Left, Left]) -> None:
        """A cluster, whose probabilities add up; RFM scores of all who ordered."""
        ours, _ = runs
        known = {one["id"]: one["name"] for one in ours.models("view")[-1]["clusters"]}
        for profile in ours.profiles.values():
            cluster = profile["cluster"]
            assert known[cluster["id"]] == cluster["name"]
            assert {int(one) for one in cluster["probabilities"]} == known.keys()
            assert sum(cluster["probabilities"].values()) == pytest.approx(1, abs=0.001)
            features = profile["features"]
            assert {"rfm_frequency", "rfm_monetary"} <= features.keys()
            assert ("rfm_recency" in features) or "recency_ms" not in features

    def test_causes(self, runs: tuple[Left, Left]) -> None:
        """Events, time and the model alike move customers."""
        causes = {record["cause"]["kind"] for record in filter(asks, runs[0].changes())}
        assert {"event", "model"} <= causes


class TestTheEnd:
    def test_an_erasure_that_comes_last(self) -> None:
        """Out of order, of a customer with sealed chunks, where nothing is left to repair it with before the end."""
        start_ms, minute_ms = 1_700_000_000_000, 60_000
        view = '{"event_id":"e%d","type":"product_viewed","timestamp":%d,"customer_id":"c","product_id":"p"}'
        lines = [(view % (number, start_ms + number * minute_ms)).encode() for number in range(401)]
        erasure = {"event_id": "x", "type": "erase", "timestamp": start_ms + 350 * minute_ms + 1, "customer_id": "c"}
        run = LocalPopulation(logics(newest_ms(lines), EAGER), 0)
        left = fed(run, [*lines, json.dumps(erasure).encode()])
        assert left.profiles["c"]["features"]["views_1d"] == 50
        assert len(sketches(run).sketch("revenue_total_cents")) == 1


class TestScoresInRules:
    """A learned probability decides who is in a segment."""

    def test_members(self) -> None:
        """At the end those whose profile says so; nobody where too few outcomes are known for a score."""
        rules = parse_rules(
            "[segments.likely]\ndescription = 'Will buy soon.'\nwhen = 'buys_7d >= 0.1'\n"
            "[segments.slipping]\ndescription = 'Bought, and is about to stay away.'\n"
            "when = 'lapses_30d >= 0.1 and orders_total >= 1'\n"
        )
        lines = lines_of(0)
        soon = replace(EAGER, scores=ScoreSettings(examples_min=50, each_min=5))
        left = fed(LocalPopulation(logics(newest_ms(lines), soon, rules=rules), Settings().out_of_orderness_ms), lines)
        shares = {key: profile["scores"] for key, profile in left.profiles.items()}
        assert {name for one in shares.values() for name in one} == {"buys_7d"}
        members = {key for key, profile in left.profiles.items() if "likely" in profile["segments"]}
        assert members == {key for key, one in shares.items() if one["buys_7d"] >= 0.1}
        assert set() < members < left.profiles.keys()
        changes = left.changes()
        assert {(one["segment"], one["change"]) for one in changes} == {("likely", "entered"), ("likely", "left")}
        assert all(one["why"]["buys_7d"][1] is not None for one in changes)


class TestOrder:
    def test_deterministic(self) -> None:
        """The same log gives the same outputs in the same order."""
        lines = lines_of(3)
        as_of_ms = newest_ms(lines)
        first, second = (fed(LocalPopulation(logics(as_of_ms, EAGER), 5_000), lines) for _ in range(2))
        assert first.outputs == second.outputs

    def test_what_is_settled_does_not_depend_on_it(self) -> None:
        """Shuffled within the lateness: in the end all are counted with the same values."""
        lines = lines_of(4, replace(HARD, malformed=0.0))
        random = Random(4)
        shuffled = sorted(lines, key=lambda line: (newest_ms([line]) // DAY_MS, random.random()))
        runs = [LocalPopulation(logics(newest_ms(lines), EAGER), 5_000) for _ in range(2)]
        ours, theirs = (fed(run, one) for run, one in zip(runs, (lines, shuffled), strict=True))
        assert {key: plain(profile) for key, profile in ours.profiles.items()} == {
            key: plain(profile) for key, profile in theirs.profiles.items()
        }
        counts = [sketches(run) for run in runs]
        assert counts[0].packed() == counts[1].packed()
        assert len(counts[0].sketch("revenue_total_cents")) == len(ours.profiles)


def sketches(run: LocalPopulation) -> FeatureSketches:
    population = run.logics.merger._population
    assert population is not None
    return population._sketches


def plain(profile: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in profile["features"].items() if name[:4] != "rfm_"}
