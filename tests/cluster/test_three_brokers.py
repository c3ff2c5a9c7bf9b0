"""Three brokers, of which one dies: what two of them have is enough."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from confluent_kafka.admin import AdminClient, ConfigResource, ResourceType

from jobs.simulation.settings import SimulationSettings
from jobs.stack.errors import StackError
from jobs.stack.stack import Stack
from tests.cluster.disturbed import Disturbed, SameAsUndisturbed, newest_event_ms, replaying
from tests.cluster.live_jobs import LiveJob, live_job
from tests.cluster.ports import free_plan
from tests.cluster.reported import report
from tests.end_to_end.segmill_runs import Run, run

pytestmark = pytest.mark.cluster

SHOP = SimulationSettings(events=5_000, customers=300, products=80, days=5, duplicates=0.02, malformed=0.01)
"""Fewer days than events may be late: while the dead broker's partitions have no leader, the others go on, and in a
replay a second is half a day."""
REPLAY_S = 12


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """One of its own."""
    stack = Stack(tmp_path_factory.mktemp("three"), owned=True)
    try:
        stack.up(free_plan(brokers=3))
        yield stack
    finally:
        stack.down(wipe=True)


@pytest.fixture(scope="module")
def disturbed(stack: Stack, log: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Disturbed]:
    """Broker 1 dies (kill -9) in the middle of a replay, and is not there for the rest of it."""
    with live_job(stack) as job:
        found = Disturbed(job)
        with replaying(log, job, REPLAY_S) as replay:
            job.next_checkpoints(2)
            assert replay.poll() is None, "the replay was over before the fault"
            stack.kill("broker-1")
        found.finish(newest_event_ms(log), tmp_path_factory.mktemp("live"))
        report(f"{SHOP.events:,} events, one broker of three killed with kill -9; {found.restarts} restarts")
        yield found


@pytest.fixture(scope="module")
def undisturbed(disturbed: Disturbed, log: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """The same events over files, as of the moment as of which the job has written everything."""
    return run(tmp_path_factory.mktemp("files"), log, "--as-of", disturbed.as_of_ms)


def copies(job: LiveJob) -> dict[str, tuple[int, str]]:
    """Of each of its topics: how many copies there are, and how many must be written."""
    admin = AdminClient({"bootstrap.servers": job.bootstrap, "log_level": 0})
    names = [topic.name for topic in job.topics.all]
    wishes = [ConfigResource(ResourceType.TOPIC, name) for name in names]
    found = {one.name: future.result(30) for one, future in admin.describe_configs(wishes).items()}
    topics = admin.list_topics(timeout=30).topics
    fewest = {name: min(len(part.replicas) for part in topics[name].partitions.values()) for name in names}
    return {name: (fewest[name], found[name]["min.insync.replicas"].value) for name in names}


class TestOneDies(SameAsUndisturbed):
    def test_topics_have_copies(self, disturbed: Disturbed) -> None:
        """As `segmill topics create` makes them where there are three brokers: three, of which two are written."""
        found = copies(disturbed.job)
        assert found == dict.fromkeys(found, (3, "2"))
        assert len(found) == 8

    def test_it_was_away_all_the_time(self, disturbed: Disturbed) -> None:
        states = {one.name: one.state for one in disturbed.job.stack.status()}
        assert states.pop("broker-1") == "dead"
        assert set(states.values()) == {"running"}

    def test_it_comes_back(self, disturbed: Disturbed) -> None:
        """The others see it; there is no fourth."""
        stack = disturbed.job.stack
        stack.up(stack.plan)
        assert all(one.answering for one in stack.status())
        with pytest.raises(StackError, match="no broker-4"):
            stack.start("broker-4")
