"""Writes the results of the last runs into benchmarks/README.md, between two marks; nobody types figures there.

python -m benchmarks.readme
"""

import json
from pathlib import Path
from typing import Any

from benchmarks.results import FOLDER, HEADER, Row

PAGE = Path(__file__).parent / "README.md"
BEGIN, END = "<!-- results: written by `make bench` -->\n", "<!-- end of results -->\n"
_RULE = "| --- | ---: | ---: | ---: | --- | ---: |"
ORDER = (
    "core", "compiled", "embedded", "layers", "bytewax_peer",
    "kafka_peers", "kafka_latency", "kafka_cost", "kafka_growth", "kafka_checkpoints",
    "quantile_sketches", "drift_alarms", "population", "population_chain",
    "population_cost", "propensity", "experiment_statistics", "sample_ratio", "serving_frameworks", "serving_load",
    "freshness", "next_item",
)  # fmt: skip

MOST_ROWS = 64
"""Of a benchmark; who wants to know more reads its file."""


def main() -> None:
    """Replace what is between the marks.

    Raises:
        SystemExit: a mark is missing.
    """
    text = PAGE.read_text(encoding="utf-8")
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise SystemExit(f"{PAGE} needs the two marks {BEGIN.strip()} and {END.strip()}")
    sections = (_section(json.loads(path.read_text(encoding="utf-8")), path.name) for path in _files())
    PAGE.write_text(before + begin + "".join(sections) + end + after, encoding="utf-8")


def _files() -> list[Path]:
    return [path for name in ORDER if (path := FOLDER / f"{name}.json").exists()]


def _section(document: dict[str, Any], file: str) -> str:
    rows = [Row(**row) for row in document["rows"]]
    lines = [
        f"\n### {document['title']}\n",
        "| " + " | ".join(HEADER) + " |",
        "| --- | ---: | ---: | ---: | --- | ---: |",
    ]
    lines += ["| " + " | ".join(_indented(row.cells())) + " |" for row in rows[:MOST_ROWS]]
    if len(rows) > MOST_ROWS:
        lines += ["", f"{len(rows) - MOST_ROWS} more rows are in [{file}](results/{file})."]
    lines += ["", *document["notes"], *([""] if document["notes"] else []), _machine(document), ""]
    return "\n".join(lines)


def _indented(cells: tuple[str, ...]) -> tuple[str, ...]:
    """Markdown drops leading spaces: rows that belong to the one above are marked."""
    name = cells[0]
    return (f"↳ {name.strip()}" if name.startswith(" ") else name, *cells[1:])


def _machine(document: dict[str, Any]) -> str:
    on = document["machine"]
    versions = ", ".join(f"{name} {version}" for name, version in on["versions"].items())
    options = ", ".join(f"{name} {value}" for name, value in document["options"].items())
    return (
        f"{document['at']}: {on['cpu']}, {on['cores']} cores, {on['memory_gb']} GB, {on['os']}, Linux {on['kernel']}, "
        f"Python {on['python']}, {versions}; load at the end {' '.join(map(str, on['load']))}, calibration loop "
        f"{on['calibration_s']} s; {options}."
    )


if __name__ == "__main__":
    main()
