"""Brings the live job to a session cluster: the graph is built here, in a Java of its own, and runs there."""

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from jobs.live.configuration import configuration
from jobs.live.package import compiled_core, write_package
from jobs.live.rest import RUNNING, Cluster, ClusterProblem
from jobs.live.settings import LiveSpec
from jobs.runtime.errors import JobFailed, RuntimeProblem
from jobs.runtime.failure import explain
from jobs.runtime.gateway import Gateway
from jobs.stack.layout import jars
from jobs.topic_care import TopicCare
from operators.redis_connection import RedisFailure, RedisRefused
from operators.shipping import ship

LATEST = "latest"
SUBMITTED_WITHIN_S = 120.0
"""Flink itself would go on for an hour and a half: twenty times, five minutes for each."""
_RECOVERY = "execution.state-recovery.path"


def submit(
    spec: LiveSpec,
    cluster: Cluster,
    folder: Path,
    say: Callable[[str], None],
    *,
    from_savepoint: str | None = None,
    python: str = sys.executable,
    settings: Mapping[str, str] | None = None,
    within_s: float = SUBMITTED_WITHIN_S,
    compiled: bool = True,
) -> str:
    """Submit the job; returns its id.

    Args:
        spec: what it reads and writes.
        cluster: where it is to run.
        folder: a private one.
        say: is told what is done.
        from_savepoint: where to go on from; LATEST: from the newest that the cluster remembers.
        python: the program on the cluster's machines.
        settings: more of Flink's settings, for this job alone.
        within_s: give up if it takes longer to build the graph and hand it over.
        compiled: bring the compiled core along, if there is one of the present sources.

    Raises:
        RuntimeProblem: Kafka, Flink or Java cannot be used, a topic is missing, a setting cannot be changed, or the
            cluster did not take the job in time.
        RedisRefused: Redis does not let the job in.
    """
    package = _package_in(folder)
    own = {**configuration(spec), **_remote(cluster, package, python)}
    if fixed := sorted({*own, _RECOVERY} & (settings or {}).keys()):
        raise RuntimeProblem(f"{', '.join(fixed)}: the job sets this itself; see `segmill submit segments --help`")
    check_topics(spec)
    check_redis(spec, say)
    _check_cluster(spec, cluster)
    state = cluster.newest_state(spec.name) if from_savepoint == LATEST else from_savepoint
    if state is not None:
        say(f"from {state}")
    ship(write_package(package, compiled_core(say) if compiled else None))
    values = {**(settings or {}), **own}
    if state is not None:
        values[_RECOVERY] = state
    with Gateway(folder / "java", jars=sorted(jars("connectors").glob("*.jar"))) as gateway:
        gateway.connect()
        say(f"Java {gateway.java.version}: {gateway.java.origin}; submitting to {cluster.url}")
        late = (
            f"{cluster.url} has not taken the job within {within_s:g} s, and this command has given up. See the "
            "JobManager's log, and `segmill jobs`, whether it runs after all; --within gives it longer"
        )
        with gateway.limited(within_s, late):
            return _submit(spec, values)


def check_topics(spec: LiveSpec) -> None:
    """See that all topics are there.

    Raises:
        KafkaProblem: no broker answers.
        RuntimeProblem: topics are missing.
    """
    missing = [
        one.topic.name for one in TopicCare(spec.kafka).check(spec.needed_topics, None, None) if one.state == "missing"
    ]
    if missing:
        prefix = f" --topic-prefix {spec.topics.prefix}" if spec.topics.prefix else ""
        raise RuntimeProblem(
            f"no topic {', '.join(missing)} at {spec.kafka.bootstrap}: "
            f"`segmill topics create --bootstrap {spec.kafka.bootstrap}{prefix}` makes them"
        )


def check_redis(spec: LiveSpec, say: Callable[[str], None]) -> None:
    """See that Redis lets the job in. Only the cluster has to reach it: that nobody answers here is said, and no more.

    Raises:
        RedisRefused: a wrong password, say.
    """
    try:
        spec.redis.reached().close()
    except RedisRefused:
        raise
    except RedisFailure as failure:
        say(f"{failure} (from here; the cluster may reach it)")


def _package_in(folder: Path) -> Path:
    """Where the code is to lie until the cluster has it."""
    package = folder.resolve() / "segmill.zip"
    if "," in str(package):  # Flink would take the path for several, find none, and wait
        raise RuntimeProblem(f"{folder}: Flink needs a path without a comma; set TMPDIR to another folder")
    return package


def _check_cluster(spec: LiveSpec, cluster: Cluster) -> None:
    free = cluster.free_slots()
    there = cluster.not_ended(spec.name)
    if there is not None and there.state not in RUNNING:
        raise ClusterProblem(
            f"a job {spec.name!r} has not ended there yet, it is {there.state.lower()}: wait until `segmill jobs` says "
            "that it has, or name another one with --name"
        )
    if there is not None:
        raise ClusterProblem(
            f"a job {spec.name!r} runs there already; `segmill stop {spec.name}` stops it, --name names another one"
        )
    if free < spec.slots:
        needs = "needs as many" if not spec.items_apart else "with --items-apart needs twice as many"
        raise ClusterProblem(
            f"{cluster.url} has {free} free slot{'s' if free != 1 else ''}, --parallelism {spec.parallelism} {needs}: "
            "add TaskManagers, or stop another job"
        )


def _remote(cluster: Cluster, package: Path, python: str) -> dict[str, str]:
    address = urlsplit(cluster.url)
    return {
        "execution.target": "remote",
        "execution.attached": "false",
        "rest.address": address.hostname or "",
        "rest.port": str(address.port or (443 if address.scheme == "https" else 80)),
        "security.ssl.rest.enabled": str(address.scheme == "https").lower(),
        "python.executable": python,
        "python.client.executable": sys.executable,
        "python.files": str(package),
    }


def _submit(spec: LiveSpec, values: dict[str, str]) -> str:
    from py4j.protocol import Py4JJavaError
    from pyflink.common import Configuration
    from pyflink.datastream import StreamExecutionEnvironment
    from pyflink.java_gateway import get_gateway

    from jobs.live.job import add_live_job

    settings: Any = Configuration()
    for name, value in values.items():
        settings.set_string(name, value)
    try:
        # `get_execution_environment` would run the job in this Java, whatever the settings say
        j_environments = get_gateway().jvm.org.apache.flink.streaming.api.environment
        environment = StreamExecutionEnvironment(j_environments.StreamExecutionEnvironment(settings._j_configuration))
        add_live_job(environment, spec)
        return str(environment.execute_async(spec.name).get_job_id())
    except Py4JJavaError as error:
        raise JobFailed(explain(str(error))) from None
