"""The summary's law, and the folder of results."""

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from jobs.outputs import OutputError, OutputFolder, output_folder
from jobs.summary import ConservationError, Summary


def counts(customer: str, **figures: int) -> bytes:
    names = ("applied", "duplicate", "late", "suppressed", "refunds_without_order")
    document: dict[str, Any] = {"customer_id": customer, **dict.fromkeys(names, 0), **figures}
    return json.dumps(document).encode()


class TestLaw:
    def test_it_holds(self) -> None:
        """read = applied + duplicate + rejected + late + suppressed."""
        summary = Summary(read=15)
        summary.add_counts([counts("a", applied=4, duplicate=1, late=2), counts("b", applied=1, suppressed=3)])
        summary.add_rejected([b'{"reason": "x"}', b'{"reason": "y"}', b'{"reason": "y"}', b'{"reason": "z"}'])
        summary.check()
        assert summary.rejected_by_reason == {"y": 2, "x": 1, "z": 1}
        assert (summary.applied, summary.duplicate, summary.late, summary.suppressed) == (5, 1, 2, 3)

    @pytest.mark.parametrize("name", ["applied", "duplicate", "rejected", "late", "suppressed", "read"])
    def test_one_record_too_many_or_too_few_breaks_it(self, name: str) -> None:
        """Whichever it is; the message has all figures."""
        for change in (1, -1):
            summary = Summary(read=10, applied=6, duplicate=1, rejected=1, late=1, suppressed=1)
            summary.check()
            setattr(summary, name, getattr(summary, name) + change)
            with pytest.raises(ConservationError, match="records were read, but") as broken:
                summary.check()
            assert f"{summary.read:,} records were read" in str(broken.value)

    def test_customers_are_those_with_an_applied_event(self) -> None:
        """Neither the empty key of records without a subject nor somebody who came too late only."""
        summary = Summary()
        summary.add_counts([counts(""), counts("a", applied=1), counts("late", late=2), counts("b", applied=2)])
        assert summary.customers == 2


class TestOutputFolder:
    def test_all_or_nothing(self, tmp_path: Path) -> None:
        """A run that fails leaves what was there before; one that ends replaces it; other files stay."""
        (tmp_path / "mine.txt").write_bytes(b"mine")
        with output_folder(tmp_path) as out:
            list(out.write("rejected.jsonl", [b"1\n"]))
            out.part("redis.rdb").write_bytes(b"snapshot")
            out.part("summary.json").write_bytes(b'{"read": 1, "rule_version": "a"}')
            out.finish()
        with suppress(KeyboardInterrupt), output_folder(tmp_path) as out:
            list(out.write("rejected.jsonl", [b"2\n"]))
            raise KeyboardInterrupt
        assert (tmp_path / "rejected.jsonl").read_bytes() == b"1\n"
        names = ["mine.txt", "redis.rdb", "rejected.jsonl", "summary.json"]
        assert sorted(path.name for path in tmp_path.iterdir()) == names
        with output_folder(tmp_path) as out:  # a run with a Redis of its own: the snapshot would be of another run
            out.part("summary.json").write_bytes(b'{"read": 2, "rule_version": "a"}')
            out.finish()
        assert sorted(path.name for path in tmp_path.iterdir()) == ["mine.txt", "summary.json"]

    @pytest.mark.parametrize("name", ["redis.rdb", "rejected.jsonl", "segment-changes.jsonl", "summary.json"])
    def test_files_of_somebody_else(self, name: str, tmp_path: Path) -> None:
        """Of one of our names, but not ours."""
        (tmp_path / name).write_bytes(b"[1]")
        with pytest.raises(OutputError, match="move it away"):
            OutputFolder(tmp_path)
        assert (tmp_path / name).read_bytes() == b"[1]"

    def test_no_folder(self, tmp_path: Path) -> None:
        """A file stands in its place."""
        (tmp_path / "x").touch()
        with pytest.raises(OutputError, match="name another --out"):
            OutputFolder(tmp_path / "x" / "y")
