"""Simulated logs: as a stream of lines, or as a file with the truth beside it."""

import gzip
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from random import Random
from typing import IO, cast

import msgspec
import zstandard

from jobs.simulation.disturb import Disturbances
from jobs.simulation.emitter import Entry
from jobs.simulation.settings import SimulationError, SimulationSettings
from jobs.simulation.shop import Shop
from jobs.simulation.truth import Counts, Truth, make_truth

TRUTH_NAME = "truth.json"
_BATCH_LINES = 2_000


class Simulation:
    """One run of the shop. The same settings give the same lines, on every machine.

    Raises:
        SimulationError: a setting is out of range.
    """

    def __init__(self, settings: SimulationSettings) -> None:
        self.settings = settings.checked()
        # two streams of chance: the events are the same with disturbances and without
        self._shop = Shop(settings, Random(settings.seed))  # noqa: S311  # must be repeatable, need not be secret
        self._disturbances = Disturbances(settings, Random(settings.seed + 1))  # noqa: S311
        self._counts = Counts()
        self._types: Counter[str] = Counter()

    def lines(self) -> Iterator[bytes]:
        """Canonical JSON without newlines, by arrival; to be iterated once."""
        for line in self._disturbances.apply(self._counted(self._shop)):
            self._counts.lines += 1
            yield line

    def truth(self) -> Truth:
        """What the lines that were taken so far are made of."""
        counts, disturbances = self._counts, self._disturbances
        counts.types = dict(sorted(self._types.items()))
        counts.duplicates = disturbances.duplicates
        counts.delayed = disturbances.delayed
        counts.malformed = dict(sorted(disturbances.malformed.items()))
        return make_truth(self.settings, counts, self._shop.visitors(), self._shop.catalogue)

    def _counted(self, entries: Iterable[Entry]) -> Iterator[Entry]:
        counts, types = self._counts, self._types
        for entry in entries:
            counts.events += 1
            types[entry[2]] += 1
            time_ms = entry[3]
            if counts.last_ms is None or counts.first_ms is None:
                counts.first_ms = counts.last_ms = time_ms
            elif time_ms > counts.last_ms:
                counts.last_ms = time_ms
            elif time_ms < counts.first_ms:
                counts.first_ms = time_ms
            yield entry


def simulate(settings: SimulationSettings) -> Iterator[bytes]:
    """The lines of a simulated log, without newlines, as they would arrive.

    Raises:
        SimulationError: a setting is out of range.
    """
    return Simulation(settings).lines()


_NOT_WRITTEN = (".xz", ".bz2", ".zip", ".parquet", ".csv")


def write_log(settings: SimulationSettings, path: Path, progress: Callable[[int], None] | None = None) -> Truth:
    """Write a log, compressed if its name ends with .gz or .zst, and `truth.json` into the same folder.

    Nothing is left at `path` if it is interrupted. The same settings give the same bytes.

    Args:
        progress: is told the number of lines written so far, now and then and at the end.

    Raises:
        SimulationError: a setting is out of range, or the file cannot be written, or not in that format.
    """
    if path.suffix in _NOT_WRITTEN:
        raise SimulationError(f"{path}: a log is written plain, as .gz or as .zst, not as {path.suffix}")
    simulation = Simulation(settings)
    part = path.with_name(f"{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with _opened(part, path.suffix) as file:
            _write(simulation.lines(), file, progress or (lambda _: None))
        truth = simulation.truth()
        document = msgspec.json.format(msgspec.json.encode(truth), indent=1)
        path.with_name(TRUTH_NAME).write_bytes(document + b"\n")
        part.replace(path)
    except OSError as error:
        raise SimulationError(f"cannot write {path}: {error.strerror or error}") from error
    finally:
        with suppress(OSError):
            part.unlink()
    return truth


def _write(lines: Iterator[bytes], file: IO[bytes], progress: Callable[[int], None]) -> None:
    written = 0
    batch: list[bytes] = []
    for line in lines:
        batch.append(line)
        if len(batch) == _BATCH_LINES:
            file.write(b"\n".join(batch) + b"\n")
            written += len(batch)
            batch.clear()
            progress(written)
    if batch:
        file.write(b"\n".join(batch) + b"\n")
    progress(written + len(batch))


@contextmanager
def _opened(path: Path, suffix: str) -> Iterator[IO[bytes]]:
    """The file to write to; compressed without a name or time inside, for equal bytes."""
    with path.open("wb") as plain:
        if suffix == ".gz":
            with gzip.GzipFile(filename="", mode="wb", compresslevel=6, fileobj=plain, mtime=0) as packed:
                yield cast(IO[bytes], packed)
        elif suffix == ".zst":
            with zstandard.ZstdCompressor(level=3).stream_writer(plain, closefd=False) as packed:
                yield packed
        else:
            yield plain
