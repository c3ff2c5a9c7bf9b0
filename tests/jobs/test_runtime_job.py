"""Whole embedded jobs, with stand-in logics."""

import json
import random
import signal
import subprocess
import sys
import time
from base64 import b64decode
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pyflink.datastream import StreamExecutionEnvironment
from pyflink.table import StreamTableEnvironment
from standin_logics import Failing, Recorder, Scoring, ShowingTheWay, Summing

from jobs import factories
from jobs.file_results import joined
from jobs.graph import MAX_PARALLELISM, Graph, GraphOptions, Logics, Outlets, rows_with_time
from jobs.runtime.errors import JobFailed
from jobs.runtime.flink import JobResult, JobSpec, run_job
from jobs.runtime.gateway import Gateway
from jobs.runtime.valkey import EmbeddedValkey
from jobs.runtime.workspace import workspace
from jobs.spool import SpoolWriter
from operators.redis_connection import RedisTarget
from schemas.keys import Keys
from schemas.profiles import unpack_versioned
from schemas.settings import Settings
from state.rules.ruleset import load_rules

pytestmark = pytest.mark.slow

LOGICS = Logics(Recorder, Summing, Scoring)
OUT_OF_ORDERNESS_MS = 5_000
KEYS = [
    "",
    '"',
    'a"b',
    "a,b",
    " lead",
    "trail ",
    "tab\there",
    "line\nbreak",
    "cr\rhere",
    "crlf\r\n",
    "#x",
    "\\",
    "null",
]
KEYS += ["ünï", "中文", "😀", "'", '""', "NULL", "x" * 600]
RAWS = [
    b"",
    b"\x00",
    b"\n",
    b"\r",
    b"\r\n",
    b"\x1f",
    b"\xff\xfe",
    b'{"a":"b"}',
    b'",',
    bytes(range(256)),
    b"y" * 2_000_000,
]


@pytest.fixture
def folder() -> Iterator[Path]:
    with workspace() as folder:
        yield folder


Event = tuple[str, int, str, bytes]


def events(number: int) -> list[Event]:
    """Events of odd keys and bytes, out of order by up to two seconds."""
    rng = random.Random(7)
    made = []
    for place in range(number):
        raw = RAWS[place] if place < len(RAWS) else rng.randbytes(rng.randrange(50))
        made.append(
            (KEYS[place % len(KEYS)], 1_700_000_000_000 + place * 200 - rng.randrange(2_000), f"log:{place}", raw)
        )
    return made


def spooled(folder: Path, made: list[Event]) -> Path:
    with SpoolWriter(folder / "spool") as spool:
        for event in made:
            spool.write(*event)
    return spool.path


def run(gateway: Gateway, folder: Path, spool: Path, redis: EmbeddedValkey | None = None, **more: Any) -> JobResult:
    target = None if redis is None else RedisTarget(redis.url, "t:")
    spec = JobSpec(spool, more.pop("logics", LOGICS), folder, OUT_OF_ORDERNESS_MS, target, **more)
    return run_job(gateway, spec, more.get("on_progress"))


def outputs(result: JobResult) -> list[list[bytes]]:
    return [list(joined(lines)) for lines in (result.segment_changes, result.rejected, result.counts)]


class TestEmbeddedJob:
    def test_nothing_is_altered_and_all_is_determined(self, gateway: Gateway, folder: Path) -> None:
        """Every byte arrives, in order, with the watermark of the event before; a second run gives the same bytes."""
        made = events(600)
        spool = spooled(folder, made)
        first = run(gateway, folder / "1", spool)
        changes, timers, counts = outputs(first)
        seen = [json.loads(line) for line in changes]
        assert [(one["key"], b64decode(one["payload"])) for one in seen] == [
            (key, place.encode() + b"\x1f" + raw) for key, _, place, raw in made
        ]
        assert [one["watermark_ms"] for one in seen] == watermarks(made)
        assert first.processed == len(made)
        assert timers
        assert all(json.loads(line)["watermark_ms"] >= json.loads(line)["time_ms"] for line in timers)
        assert len(counts) == len(KEYS)
        assert outputs(run(gateway, folder / "2", spool)) == [changes, timers, counts]

    @pytest.mark.parametrize("mode", ["thread", "process"])
    def test_redis_gets_the_last_word(self, gateway: Gateway, folder: Path, mode: str) -> None:
        """In either mode: profiles at their last version, items scored with the final totals."""
        made = events(300)
        with EmbeddedValkey(folder / "v") as valkey:
            run(gateway, folder / "job", spooled(folder, made), valkey, mode=mode)
            client, keys = valkey.client(), Keys("t:")
            for key in KEYS:
                stored = unpack_versioned(client.get(keys.profile(key)))
                assert stored is not None
                assert stored["count"] == sum(event[0] == key for event in made)
            assert client.zcard(keys.segment("seen")) == len(KEYS)
            shares = [unpack_versioned(client.get(keys.similar("viewed-with", f"i{n}"))) for n in range(7)]
            assert all(share is not None and share["neighbours"][0][2] == 7 for share in shares)
            assert sum(share["neighbours"][0][1] for share in shares if share) == pytest.approx(1)

    def test_records_take_the_short_way(self, gateway: Gateway, folder: Path) -> None:
        """This PyFlink is as `operators.short_way` expects it: no generator of PyFlink's stands in between."""
        with pytest.raises(JobFailed, match=r"ValueError: (short_way\.py )+(customer\.py )+standin_logics\.py "):
            run(gateway, folder / "job", spooled(folder, events(1)), logics=Logics(ShowingTheWay))


class TestLayout:
    @pytest.mark.parametrize("parallelism", [1, 2])
    def test_a_population_fits_in(self, gateway: Gateway, parallelism: int) -> None:
        """Into a graph of several subtasks with a Redis, too: of the population itself there is one subtask."""
        gateway.connect()
        environment = StreamExecutionEnvironment.get_execution_environment()
        environment.set_parallelism(parallelism).set_max_parallelism(MAX_PARALLELISM)
        tables = StreamTableEnvironment.create(environment)
        tables.execute_sql(
            f"CREATE TEMPORARY TABLE of_{parallelism} (k STRING NOT NULL, v BYTES NOT NULL, t BIGINT, "
            "ts AS TO_TIMESTAMP_LTZ(t, 3), WATERMARK FOR ts AS ts) "
            "WITH ('connector' = 'filesystem', 'path' = 'file:///dev/null', 'format' = 'csv')"
        )
        outlets = Outlets(redis=RedisTarget("redis://127.0.0.1:1"))
        graph = Graph(tables, outlets, GraphOptions(bounded=False, one_subtask=parallelism == 1))
        population = factories.logics(Settings(population={"enabled": True}), load_rules().text, "rules", None)
        query = f"SELECT k, v, ts FROM of_{parallelism}"  # noqa: S608
        graph.build(lambda tables: rows_with_time(tables, query), population)
        plan = json.loads(environment.get_execution_plan())
        counts = {node["type"].split(":")[-1].strip(): node["parallelism"] for node in plan["nodes"]}
        assert {counts[name] for name in ("gather", "assign", "redis-writer-population")} == {parallelism}
        assert counts["population"] == 1


class TestFailures:
    @pytest.mark.parametrize("mode", ["thread", "process"])
    def test_the_innermost_error_is_told(self, gateway: Gateway, folder: Path, mode: str) -> None:
        """With file and line, and not much more."""
        spool = spooled(folder, events(20))
        with pytest.raises(
            JobFailed, match=r"ValueError: the third event is bad \(.*standin_logics\.py:\d+\)"
        ) as failure:
            run(gateway, folder / "job", spool, logics=Logics(Failing), mode=mode)
        assert "\n" not in str(failure.value)

    def test_redis_that_is_down(self, gateway: Gateway, folder: Path) -> None:
        """Fails after its patience, with the address and without the password."""
        target = RedisTarget("redis://u:s3cret@127.0.0.1:1/0", patience_s=0.3)
        spec = JobSpec(spooled(folder, events(20)), LOGICS, folder / "job", OUT_OF_ORDERNESS_MS, target)
        with pytest.raises(
            JobFailed, match=r"RedisFailure: Redis at redis://127\.0\.0\.1:1/0 was not usable"
        ) as failure:
            run_job(gateway, spec)
        assert "s3cret" not in str(failure.value)

    def test_redis_that_goes_down_in_the_middle(self, gateway: Gateway, folder: Path) -> None:
        """The writer is chained behind the operator that emits: its error is told, not that of the chain."""
        target = RedisTarget("redis://127.0.0.1:1/0", patience_s=0.3)
        spec = JobSpec(spooled(folder, events(1_500)), LOGICS, folder / "job", OUT_OF_ORDERNESS_MS, target)
        with pytest.raises(JobFailed, match=r"RedisFailure: Redis at redis://127\.0\.0\.1:1/0 was not usable"):
            run_job(gateway, spec)


PARENT = """
import sys
from pathlib import Path
sys.path.insert(0, {tests!r})
from test_runtime_job import *
signal.signal(signal.SIGHUP, signal.SIG_DFL)  # under nohup it would be ignored
with workspace() as folder, Gateway(folder / "java") as gateway, EmbeddedValkey(folder / "v") as valkey:
    print(folder, gateway.pid, valkey.pid, flush=True)
    def told(count):
        if count:
            print("processed", flush=True)
    spool = spooled(folder, events(50_000))
    run_job(gateway, JobSpec(spool, LOGICS, folder / "job", 5_000, RedisTarget(valkey.url), flink={{}}), told)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="asks /proc")
@pytest.mark.parametrize("signal_number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_interrupted_it_leaves_nothing(signal_number: signal.Signals) -> None:
    """A job that is interrupted in the middle leaves no process and no folder."""
    script = PARENT.format(tests=str(Path(__file__).parent))
    parent = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True, cwd=Path.cwd())
    assert parent.stdout is not None
    folder, java, valkey = parent.stdout.readline().split()
    assert parent.stdout.readline() == "processed\n"
    parent.send_signal(signal_number)
    parent.wait(30)
    assert parent.returncode not in (0, None)
    deadline = time.monotonic() + 10
    while any(Path(f"/proc/{pid}").exists() for pid in (java, valkey)) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not any(Path(f"/proc/{pid}").exists() for pid in (java, valkey))
    assert not Path(folder).exists()


STARTING = """
import os, signal, sys, threading
from pathlib import Path
sys.path.insert(0, {tests!r})
from test_runtime_job import *
from jobs.runtime.flink import prepare
with workspace() as folder, Gateway(folder / "java") as gateway:
    spool = spooled(folder, events(2_000))
    prepare(gateway)
    threading.Timer({after_s}, lambda: os.kill({victim}, {number})).start()
    run_job(gateway, JobSpec(spool, LOGICS, folder / "job", 5_000, None, flink={{}}))
"""


@pytest.mark.parametrize("after_s", [0.1, 0.6, 1.2])
@pytest.mark.parametrize(
    ("victim", "number", "last_words"),
    [
        ("os.getpid()", signal.SIGINT, "KeyboardInterrupt"),
        ("gateway.pid", signal.SIGKILL, "RuntimeProblem: Java ended"),
    ],
)
def test_interrupted_while_it_starts(victim: str, number: signal.Signals, last_words: str, after_s: float) -> None:
    """One error, at most: no traces of the connection to Java."""
    script = STARTING.format(tests=str(Path(__file__).parent), victim=victim, number=int(number), after_s=after_s)
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=Path.cwd(), check=False)
    assert ended.returncode != 0
    assert last_words in ended.stderr
    assert ended.stderr.count("Traceback") == 1


def watermarks(made: list[Event]) -> list[int]:
    """What the watermark is when each event is seen."""
    newest, seen = None, []
    for _, time_ms, _, _ in made:
        seen.append(-(2**63) if newest is None else newest - OUT_OF_ORDERNESS_MS)
        newest = time_ms if newest is None else max(newest, time_ms)
    return seen
