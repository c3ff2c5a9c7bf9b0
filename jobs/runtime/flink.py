"""One embedded job: from a spool to files and Redis, in a Flink that lives and dies with the `Gateway`."""

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jobs.runtime.errors import JobFailed
from jobs.runtime.failure import explain
from jobs.runtime.gateway import Gateway
from jobs.runtime.loopback import keep_to_loopback

if TYPE_CHECKING:
    from jobs.graph import Logics
    from operators.redis_connection import RedisTarget

PROGRESS_EVERY_S = 0.2
_POLL_S = 0.05
_REDIS_WAIT_MS = 500
"""Nobody looks at Redis during a run that ends, so batches may fill."""


@dataclass(frozen=True, slots=True)
class JobSpec:
    """What an embedded job reads, computes and writes."""

    spool: Path
    logics: "Logics"
    folder: Path
    """A private folder: results and temporary files lie below it."""
    out_of_orderness_ms: int
    redis: "RedisTarget | None" = None
    mode: str = "thread"
    """`thread`: Python inside Java; `process`: beside it, as on clusters that want it so."""
    flink: dict[str, str] = field(default_factory=dict)
    """More of Flink's configuration."""


@dataclass(frozen=True, slots=True)
class JobResult:
    """Folders of JSON lines (read them with `jobs.file_results.joined`), and how long it took."""

    segment_changes: Path
    population_changes: Path
    """Those of segments that ask about the population."""
    rejected: Path
    counts: Path
    models: Path
    processed: int
    """Events that went through the customer operator."""
    started_s: float
    """From submitting the job until its first events were through."""
    wall_s: float
    """From submitting the job to its end."""


def run_job(gateway: Gateway, spec: JobSpec, on_progress: Callable[[int], None] | None = None) -> JobResult:
    """Run a job to its end.

    `on_progress` is called, in this thread, with the number of events processed so far.

    Raises:
        JobFailed: the message is the innermost error with its place.
        RuntimeProblem: Java did not start, or Flink would listen on all interfaces.
    """
    gateway.connect()
    if spec.mode == "process":
        keep_to_loopback(gateway)
    names = ("segment-changes", "population-changes", "rejected", "counts", "models", "progress", "tmp")
    folders = {name: spec.folder / name for name in names}
    for folder in folders.values():
        folder.mkdir(mode=0o700, parents=True)
    environment = _environment(spec, folders)
    watch = _Watch(folders["progress"], on_progress)
    _await(_submit(environment), watch)
    return JobResult(
        folders["segment-changes"],
        folders["population-changes"],
        folders["rejected"],
        folders["counts"],
        folders["models"],
        watch.processed,
        watch.started_s,
        watch.elapsed_s,
    )


def prepare(gateway: Gateway) -> None:
    """Load in Java what a job will need; may run in a second thread while the spool is being written."""
    from pyflink.datastream import StreamExecutionEnvironment
    from pyflink.table import StreamTableEnvironment

    gateway.connect()
    tables = StreamTableEnvironment.create(StreamExecutionEnvironment.get_execution_environment())
    tables.execute_sql(
        "CREATE TEMPORARY TABLE warm (k STRING, t BIGINT, v BYTES, ts AS TO_TIMESTAMP_LTZ(t, 3), "
        "WATERMARK FOR ts AS TO_TIMESTAMP_LTZ(t - 1, 3)) "
        "WITH ('connector' = 'filesystem', 'path' = 'file:///dev/null', 'format' = 'csv')"
    )
    tables.sql_query("SELECT k, v, ts FROM warm").explain()


def _environment(spec: JobSpec, folders: dict[str, Path]) -> Any:
    from pyflink.datastream import StreamExecutionEnvironment
    from pyflink.table import StreamTableEnvironment

    from jobs.file_ends import lines_to_folder, spool_source
    from jobs.graph import Graph, GraphOptions, Outlets
    from operators.redis_writer import RedisBatching

    environment = StreamExecutionEnvironment.get_execution_environment(_configuration(spec, folders["tmp"]))
    environment.set_parallelism(1)
    outlets = Outlets(
        segment_changes=lines_to_folder(folders["segment-changes"]),
        rejected=lines_to_folder(folders["rejected"]),
        counts=lines_to_folder(folders["counts"]),
        population_changes=lines_to_folder(folders["population-changes"]),
        models=lines_to_folder(folders["models"]),
        redis=spec.redis,
    )
    options = GraphOptions(
        bounded=True,
        one_subtask=True,
        redis_batching=RedisBatching(wait_ms=_REDIS_WAIT_MS),
        progress_dir=folders["progress"],
    )
    graph = Graph(StreamTableEnvironment.create(environment), outlets, options)
    graph.build(spool_source(spec.spool, spec.out_of_orderness_ms), spec.logics)
    return environment


def _configuration(spec: JobSpec, tmp: Path) -> Any:
    from pyflink.common import Configuration

    from jobs.graph import MAX_PARALLELISM

    configuration = Configuration()
    for name, value in {
        "python.executable": sys.executable,
        "python.client.executable": sys.executable,
        "python.execution-mode": spec.mode,
        "pipeline.name": "segmill",
        "pipeline.max-parallelism": str(MAX_PARALLELISM),
        "pipeline.object-reuse": "true",
        "pipeline.auto-watermark-interval": "0",  # a watermark after every event: nothing depends on the clock
        "restart-strategy.type": "none",  # no checkpoints: a run that fails is run again, from the log
        "rest.address": "127.0.0.1",
        "rest.bind-address": "127.0.0.1",
        "rest.bind-port": "0",
        "jobmanager.bind-host": "127.0.0.1",
        "taskmanager.bind-host": "127.0.0.1",
        "web.submit.enable": "false",
        "web.cancel.enable": "false",
        "io.tmp.dirs": str(tmp),
        **spec.flink,
    }.items():
        configuration.set_string(name, value)
    return configuration


class _Watch:
    """Follows the count of processed events."""

    def __init__(self, folder: Path, on_progress: Callable[[int], None] | None) -> None:
        self._folder, self._on_progress = folder, on_progress
        self._begin = self._shown = time.monotonic()
        self.processed, self.started_s, self.elapsed_s = 0, 0.0, 0.0

    def look(self, *, last: bool = False) -> None:
        from operators.progress import read_progress

        now = time.monotonic()
        if not last and now - self._shown < PROGRESS_EVERY_S:
            return
        self._shown, self.elapsed_s = now, now - self._begin
        self.processed = read_progress(self._folder)
        if self.processed and not self.started_s:
            self.started_s = self.elapsed_s
        if self._on_progress is not None:
            self._on_progress(self.processed)


def _submit(environment: Any) -> Any:
    from py4j.protocol import Py4JJavaError

    try:
        return environment.execute_async("segmill")
    except Py4JJavaError as error:
        raise JobFailed(explain(str(error))) from None


def _await(job: Any, watch: _Watch) -> None:
    from py4j.protocol import Py4JJavaError

    try:
        result = job.get_job_execution_result()
        while not result._j_completable_future.isDone():
            time.sleep(_POLL_S)
            watch.look()
        result.result()
    except Py4JJavaError as error:
        raise JobFailed(explain(str(error))) from None
    except BaseException:
        job.cancel()
        raise
    watch.look(last=True)
