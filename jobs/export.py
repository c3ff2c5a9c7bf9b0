"""Writing everything that readers can see to files: the same state gives the same bytes."""

import json
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from jobs.store import Store
from state.similar.settings import RELATIONS


def export(store: Store, out: Path, on_line: Callable[[str], None]) -> dict[str, int]:
    """Write profiles.jsonl, similar.jsonl, segments.jsonl and experiments.jsonl; returns how many lines."""
    out.mkdir(parents=True, exist_ok=True)
    return {
        name: _write(out / name, lines, partial(on_line, name))
        for name, lines in (
            ("profiles.jsonl", _profiles(store)),
            ("similar.jsonl", _similar(store)),
            ("segments.jsonl", _segments(store)),
            ("experiments.jsonl", _experiments(store)),
        )
    }


def _profiles(store: Store) -> Iterator[dict[str, Any]]:
    for customer_id, profile in store.profiles():
        yield {
            "customer_id": customer_id,
            "as_of_ms": profile["as_of_ms"],
            "features": profile["features"],
            "segments": sorted(profile["segments"]),
            **{name: profile[name] for name in ("cluster", "scores") if name in profile},
        }


def _similar(store: Store) -> Iterator[dict[str, Any]]:
    for relation in sorted(RELATIONS):
        for item_id, value in store.neighbours(relation):
            neighbours = [{"item_id": i, "score": score, "support": n} for i, score, n in value["neighbours"]]
            yield {"relation": relation, "item_id": item_id, "neighbours": neighbours}


def _segments(store: Store) -> Iterator[dict[str, Any]]:
    for name in store.segments():
        yield {"segment": name, "members": [member for member, _ in store.members(name)]}


def _experiments(store: Store) -> Iterator[dict[str, Any]]:
    for name, stored in store.experiments():
        cells = stored.tally.cells
        for cell in sorted(cells, key=lambda cell: (cell.variant, cell.shares, cell.segment)):
            yield {"experiment": name, **cell._asdict(), **msgspec.structs.asdict(cells[cell])}


def _write(path: Path, lines: Iterator[dict[str, Any]], on_line: Callable[[], None]) -> int:
    count = 0
    partial = path.with_name(path.name + ".part")
    with partial.open("w", encoding="utf-8") as out:
        for line in lines:
            out.write(json.dumps(line, ensure_ascii=False, sort_keys=True, separators=(",", ":")) + "\n")
            count += 1
            on_line()
    partial.replace(path)  # complete, or not there at all
    return count
