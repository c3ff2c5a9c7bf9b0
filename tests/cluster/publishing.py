"""Everything written as of one moment, exported, and held against a run over files."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.cluster.live_jobs import LiveJob
from tests.end_to_end.segmill_runs import EXPORTS, run, segmill


def publish(job: LiveJob, *more: object) -> dict[str, Any]:
    """`segmill control publish --wait`."""
    said = segmill(
        *("control", "publish", "--bootstrap", job.bootstrap, "--topic-prefix", job.topics.prefix, "--json"),
        *("--wait", "--within", "4min", "--hold", "40s", "--redis", job.redis_url, "--prefix", job.prefix, *more),
    )
    assert said.returncode == 0, said.stderr
    return dict(json.loads(said.stdout))


def replay(job: LiveJob, log: Path) -> None:
    said = segmill("replay", log, "--topic", job.topics.events.name, "--bootstrap", job.bootstrap)
    assert said.returncode == 0, said.stderr


def exported(job: LiveJob, out: Path) -> Path:
    said = segmill("export", "--redis", job.redis_url, "--prefix", job.prefix, "--out", out)
    assert said.returncode == 0, said.stderr
    return out


def assert_same(
    live: Path,
    logs: Path | tuple[Path, ...],
    as_of_ms: int,
    folder: Path,
    *,
    more_lines_than: int = 5,
    names: Sequence[str] = EXPORTS,
) -> None:
    """Byte for byte the export of a run over the logs that ends at this moment; `names`: of these files."""
    backfill = run(folder, *((logs,) if isinstance(logs, Path) else logs), "--as-of", as_of_ms)
    assert_same_exports(live, backfill.export, more_lines_than=more_lines_than, names=names)
    assert backfill.summary["late"] == 0


def assert_same_exports(
    live: Path, expected: Path, *, more_lines_than: int = 5, names: Sequence[str] = EXPORTS
) -> None:
    """Profiles, segments, lists of similar items and outcomes of experiments, byte for byte; and there are some."""
    only = [option for name in names for option in ("--only", name.removesuffix(".jsonl"))]
    told = segmill("verify", live, expected, *only, "--json")
    assert told.returncode == 0, told.stdout
    for name in names:
        content = (live / name).read_bytes()
        assert content == (expected / name).read_bytes()
        assert content.count(b"\n") > more_lines_than
