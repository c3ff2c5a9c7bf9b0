"""What a benchmark found: printed as a table, and kept as JSON in `benchmarks/results/`."""

import json
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from benchmarks.machine import described

FOLDER = Path(__file__).parent / "results"


@dataclass(frozen=True, slots=True)
class Row:
    """One measured thing: every value that was measured, in the order of the runs."""

    name: str
    unit: str
    values: Sequence[float]

    @property
    def median(self) -> float:
        return median(self.values)

    def cells(self) -> tuple[str, ...]:
        """For a table: name, min, median, max, unit, number of runs."""
        shown = (min(self.values), self.median, max(self.values))
        return (self.name, *map(number, shown), self.unit, str(len(self.values)))


@dataclass(slots=True)
class Results:
    """Rows of one benchmark, and the options it was run with."""

    name: str
    title: str
    options: Mapping[str, object]
    rows: list[Row] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def add(self, name: str, unit: str, *values: float) -> None:
        """One row, shown at once, as others may take long; without values there is none."""
        if values:
            row = Row(name, unit, [round(value, 6) for value in values])
            self.rows.append(row)
            print(f"{name}: {number(row.median)} {unit}", file=sys.stderr, flush=True)

    def finish(self) -> None:
        """Print and keep everything."""
        print("\n".join(table(self.title, self.rows)), *self.notes, "", sep="\n", flush=True)
        document = {
            "title": self.title,
            "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "options": dict(self.options),
            "machine": described(),
            "rows": [{"name": row.name, "unit": row.unit, "values": list(row.values)} for row in self.rows],
            "notes": self.notes,
        }
        FOLDER.mkdir(exist_ok=True)
        (FOLDER / f"{self.name}.json").write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")


HEADER = ("what", "min", "median", "max", "unit", "runs")


def table(title: str, rows: Sequence[Row]) -> list[str]:
    """The rows with aligned columns."""
    cells = [HEADER, *(row.cells() for row in rows)]
    widths = [max(len(line[at]) for line in cells) for at in range(len(HEADER))]
    lines = [title]
    for line in cells:
        left = line[0].ljust(widths[0])
        numbers = (line[at].rjust(widths[at]) for at in (1, 2, 3))
        lines.append("  ".join((left, *numbers, line[4].ljust(widths[4]), line[5].rjust(widths[5]))).rstrip())
    return lines


def number(value: float) -> str:
    """Three digits that matter, thousands apart."""
    if value == 0 or abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"
