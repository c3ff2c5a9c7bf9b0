"""A run with a population: what an engine-free run gives, every time the same, and own facts as without one."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from segmill_runs import Run, read, run

from jobs.local_population import local_logics
from jobs.rehearsal import accepted
from schemas.logs import open_log
from schemas.settings import Settings
from state.channels import Channel
from state.customer.logic import PLACE_END
from state.local_population import LocalPopulation
from state.rules.ruleset import load_rules

pytestmark = pytest.mark.slow

RULES = load_rules()
ASKING = set(RULES.remainder.names)


@pytest.fixture(scope="module")
def population_run(hard_log: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    return run(tmp_path_factory.mktemp("population"), hard_log, "--population")


def profiles(found: Run) -> dict[str, dict[str, Any]]:
    return {line["customer_id"]: line for line in read(found.export / "profiles.jsonl")}


def local(log: Path, as_of_ms: int) -> list[tuple[int, str, bytes]]:
    """All that the same logics say without an engine, of the log in its order."""
    settings = Settings(population={"enabled": True})
    whole = LocalPopulation(local_logics(settings, RULES.text, as_of_ms), settings.out_of_orderness_ms)
    said: list[tuple[int, str, bytes]] = []
    # what would be rejected says nothing; the others in the order in which they came
    raws = [record.raw for record in open_log([log]) if record.rejected is None]
    times = {raw: (subject, time_ms) for subject, time_ms, raw in accepted(raws, settings)[0]}
    for raw in raws:
        if raw in times:
            said += whole.feed(*times[raw], PLACE_END + raw)
    return said + whole.close()


class TestPopulation:
    def test_own_facts(self, population_run: Run, hard_run: Run) -> None:
        """Features and segments that do not ask are those of a run without it; so are similar items."""
        found, expected = profiles(population_run), profiles(hard_run)
        assert found.keys() == expected.keys()
        for customer, profile in found.items():
            own = {name: value for name, value in profile["features"].items() if not name.startswith("rfm_")}
            assert own == expected[customer]["features"]
            assert [name for name in profile["segments"] if name not in ASKING] == expected[customer]["segments"]
        assert population_run.exported()["similar.jsonl"] == hard_run.exported()["similar.jsonl"]

    def test_as_without_an_engine(self, population_run: Run, hard_log: Path) -> None:
        """The same views, alarms and clusters, and the same changes of segments."""
        said = local(hard_log, population_run.summary["as_of_ms"])
        models = [payload for channel, _, payload in said if channel == Channel.MODEL]
        assert (population_run.out / "models.jsonl").read_bytes().splitlines() == models
        assert population_run.summary["views"] == sum(json.loads(one)["kind"] == "view" for one in models) > 20
        changes = Counter(payload for channel, _, payload in said if channel == Channel.SEGMENT_CHANGE)
        assert Counter((population_run.out / "segment-changes.jsonl").read_bytes().splitlines()) == changes

    def test_again(self, population_run: Run, hard_log: Path, tmp_path: Path) -> None:
        """To the byte."""
        again = run(tmp_path, hard_log, "--population")
        assert again.exported() == population_run.exported()
        assert again.results() == population_run.results()
        assert (again.out / "models.jsonl").read_bytes() == (population_run.out / "models.jsonl").read_bytes()

    def test_memberships(self, population_run: Run) -> None:
        """Changes, profiles, sets and the summary tell the same, of all segments."""
        members: dict[tuple[str, str], int] = {}
        for change in read(population_run.out / "segment-changes.jsonl"):
            if change["change"] == "entered":
                members[change["customer_id"], change["segment"]] = change["since_ms"]
            else:
                members.pop((change["customer_id"], change["segment"]), None)
        told = {(customer, name) for customer, names in population_run.memberships.items() for name in names}
        assert set(members) == told
        assert {name for _, name in told} >= ASKING
        sets = read(population_run.export / "segments.jsonl")
        assert {(member, line["segment"]) for line in sets for member in line["members"]} == told
        counts = Counter(name for _, name in told)
        assert population_run.summary["members"] == {name: counts[name] for name in population_run.summary["members"]}
        assert population_run.summary["waiting"] == {}
