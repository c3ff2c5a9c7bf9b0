"""The command line without a process of its own, on logs of a few lines."""

import json
from pathlib import Path
from typing import Any

import pytest

from jobs import cli
from jobs.commands import console

T0 = 1_740_787_200_000
"""2025-03-01T00:00:00Z"""
MINUTE = 60_000
HOUR = 60 * MINUTE
DAY = 24 * HOUR


class Said:
    """Exit code, standard output and standard error of a command."""

    def __init__(self, code: int, out: str, err: str) -> None:
        self.code, self.out, self.err = code, out, err

    @property
    def json(self) -> Any:
        return json.loads(self.out)


def call(capsys: pytest.CaptureFixture[str], *arguments: object) -> Said:
    """`segmill ARGUMENTS`."""
    for one in (console.words, console.results):
        one.cache_clear()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.argv", ["segmill", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            cli.main()
    code = ended.value.code
    captured = capsys.readouterr()
    return Said(code if isinstance(code, int) else 0, captured.out, captured.err)


def event(number: int, customer: str, at_ms: int, kind: str = "product_viewed", **members: Any) -> dict[str, Any]:
    """A canonical event at T0 + at_ms."""
    if kind.startswith("product_"):
        members.setdefault("product_id", "p1")
    return {"event_id": f"e{number}", "type": kind, "timestamp": T0 + at_ms, "customer_id": customer, **members}


def log(path: Path, *events: dict[str, Any] | bytes) -> Path:
    """A file of these events; bytes are written as they are."""
    lines = [one if isinstance(one, bytes) else json.dumps(one, ensure_ascii=False).encode() for one in events]
    path.write_bytes(b"\n".join(lines) + b"\n")
    return path
