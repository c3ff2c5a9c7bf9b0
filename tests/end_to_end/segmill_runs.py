"""Runs of the real command line, in processes of their own."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from jobs.simulation.settings import SimulationSettings
from schemas.decode import Decoder
from schemas.logs import open_log
from schemas.rejects import Rejected
from schemas.settings import DAY_MS, Settings

SEGMILL = Path(sys.executable).parent / "segmill"
PATIENCE_S = 300
EXPORTS = ("profiles.jsonl", "similar.jsonl", "segments.jsonl", "experiments.jsonl")
LINES = ("segment-changes.jsonl", "rejected.jsonl")
CUSTOMER = re.compile(r"\b[ca]\d{6}\b")
"""Ids of simulated customers, known and anonymous."""
HARD = SimulationSettings(
    events=6_000,
    customers=400,
    products=150,
    days=45,
    shuffle_ms=DAY_MS,
    duplicates=0.05,
    malformed=0.02,
    refunds_first=True,
)


def segmill(*arguments: object, **env: str) -> "subprocess.CompletedProcess[str]":
    """A command, to its end."""
    return subprocess.run(
        [str(SEGMILL), *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        env={**os.environ, **env},
        check=False,
    )


@dataclass(frozen=True)
class Run:
    """What a run left, and its export."""

    out: Path
    export: Path
    said: str

    @cached_property
    def summary(self) -> dict[str, Any]:
        return dict(json.loads((self.out / "summary.json").read_bytes()))

    def exported(self) -> dict[str, bytes]:
        return {name: (self.export / name).read_bytes() for name in EXPORTS}

    def results(self) -> dict[str, bytes]:
        return {name: (self.out / name).read_bytes() for name in LINES}

    @property
    def features(self) -> dict[str, dict[str, Any]]:
        return {line["customer_id"]: line["features"] for line in read(self.export / "profiles.jsonl")}

    @property
    def memberships(self) -> dict[str, list[str]]:
        return {line["customer_id"]: line["segments"] for line in read(self.export / "profiles.jsonl")}

    @property
    def similar(self) -> dict[str, dict[str, list[tuple[str, float, int]]]]:
        lists: dict[str, dict[str, list[tuple[str, float, int]]]] = {"viewed-with": {}, "bought-with": {}}
        for line in read(self.export / "similar.jsonl"):
            lists[line["relation"]][line["item_id"]] = [
                (one["item_id"], one["score"], one["support"]) for one in line["neighbours"]
            ]
        return lists


def run(folder: Path, *arguments: object, redis: str | None = None) -> Run:
    """`segmill run` and `segmill export`, below `folder`.

    Raises:
        AssertionError: one of them failed.
    """
    out, export = folder / "out", folder / "export"
    to, source = (("--redis", redis), ("--redis", redis)) if redis else ((), ("--from", out))
    ran = segmill("run", *arguments, "--out", out, *to)
    assert ran.returncode == 0, ran.stderr
    exported = segmill("export", *source, "--out", export)
    assert exported.returncode == 0, exported.stderr
    return Run(out, export, ran.stdout + ran.stderr + exported.stdout + exported.stderr)


def read(path: Path) -> list[dict[str, Any]]:
    """The lines of a file of JSON lines."""
    return [json.loads(line) for line in path.read_bytes().splitlines()]


def accepted(log: Path, currency: str = "USD") -> list[bytes]:
    """The canonical lines of a log that are not rejected."""
    decode = Decoder(Settings(currency=currency)).decode
    lines = []
    for record in open_log([log]):
        if record.rejected is None:
            try:
                decode(record.raw)
            except Rejected:
                continue
            lines.append(record.raw)
    return lines


def write(path: Path, lines: Iterable[bytes]) -> Path:
    """A log of these lines."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"".join(line + b"\n" for line in lines))
    return path


def time_of(line: bytes) -> int:
    """Event time of an accepted line."""
    return Decoder(Settings()).decode(line)[1].time_ms


def subject_of(line: bytes) -> str:
    """Customer of an accepted line."""
    return Decoder(Settings()).decode(line)[0]
