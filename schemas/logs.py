"""Logs of events: files and folders in any known container and format, as one sequence of records."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from schemas import compression, formats, parquet
from schemas.adapters import ga4, online_retail, segment
from schemas.adapters.fields import Converted
from schemas.compression import Container
from schemas.formats import Format
from schemas.lines import NumberedLine, split_lines
from schemas.records import LogError, Record
from schemas.rejects import Rejected

__all__ = ["Format", "Log", "LogError", "LogFile", "Record", "open_log"]

_TEXT_ENDINGS: Final = (".jsonl", ".ndjson", ".json", ".csv")
ENDINGS: Final = (
    ".parquet",
    *(f"{text}{packed}" for text in _TEXT_ENDINGS for packed in ("", ".gz", ".xz", ".zst")),
)
"""What a file in a folder must end with to be taken for a log."""

_ADAPTERS: Final[dict[Format, Callable[[bytes], Converted]]] = {
    Format.SEGMENT: segment.convert,
    Format.GA4: ga4.convert,
}


class LogFile(NamedTuple):
    """A file of a log, as it was found when the log was opened."""

    path: Path
    name: str
    """What places in it begin with: the file's name, or its path where several have the same name."""
    container: Container
    format: Format
    size_bytes: int


class Log:
    """Files to be read one after the other, in the order they were given; folders in the order of their paths.

    Iterating reads all files and may be done more than once. Memory does not grow with the size of a file.
    """

    def __init__(self, files: Sequence[LogFile]) -> None:
        self.files = tuple(files)
        self.total_bytes = sum(file.size_bytes for file in files)
        self.position_bytes = 0
        """Bytes of the files, as they are stored, that have been read by now."""

    def __iter__(self) -> Iterator[Record]:
        """All records of all files.

        Raises:
            LogError: a file cannot be read to its end; the records before are yielded first.
        """
        done_bytes = 0
        for file in self.files:
            self.position_bytes = done_bytes
            yield from self.records(file, done_bytes)
            done_bytes += file.size_bytes
        self.position_bytes = self.total_bytes

    def records(self, file: LogFile, done_bytes: int = 0) -> Iterator[Record]:
        """The records of one file; `done_bytes` is what `position_bytes` counts on from."""

        def on_read(position: int) -> None:
            self.position_bytes = done_bytes + min(position, file.size_bytes)

        def open_lines(measured: bool) -> Iterator[NumberedLine]:
            return _numbered(file.path, file.container, on_read if measured else _ignore)

        if file.format is Format.ONLINE_RETAIL:
            return online_retail.records(file.name, open_lines)
        if adapter := _ADAPTERS.get(file.format):
            return _adapted(file.name, open_lines(True), adapter)
        return _canonical(file.name, open_lines(True))


def open_log(paths: Sequence[Path], format: str = "auto") -> Log:  # noqa: A002 - the name of the option
    """Find the files of a log and the format of each, by its content unless `format` names one.

    Raises:
        LogError: no such file or format, an empty folder, a file that cannot be a log; the message says what to do.
    """
    wanted = formats.parse_format(format)
    if not paths:
        raise LogError("no files given")
    found = [file for path in paths for file in _files(path)]
    names = Counter(path.name for path in found)
    return Log([_log_file(path, path.name if names[path.name] == 1 else str(path), wanted) for path in found])


def _files(path: Path) -> list[Path]:
    if path.is_dir():
        found = sorted(
            file
            for file in path.rglob("*")
            if file.name.endswith(ENDINGS) and file.is_file() and not file.name.startswith((".", "_"))
        )
        if not found:
            raise LogError(f"{path}: no logs in this folder; they end with {', '.join(ENDINGS)}")
        return found
    if not path.exists():
        raise LogError(f"{path}: no such file or folder")
    if not path.is_file():
        raise LogError(f"{path}: not an ordinary file; write the log to a file first")
    return [path]


def _log_file(path: Path, name: str, wanted: Format) -> LogFile:
    container = compression.container_of(path)
    size_bytes = path.stat().st_size
    if wanted is Format.AUTO:
        lines = (line for _, line, _ in _numbered(path, container, _ignore))
        wanted = formats.detect(name, lines)
    return LogFile(path, name, container, wanted, size_bytes)


def _ignore(_: int) -> None:
    """A progress that nobody watches."""


def _numbered(path: Path, container: Container, on_read: Callable[[int], None]) -> Iterator[NumberedLine]:
    if container is Container.PARQUET:
        return ((number, row, None) for number, row in parquet.read_rows(path, on_read))
    return split_lines(compression.read_chunks(path, container, on_read))


def _canonical(name: str, lines: Iterator[NumberedLine]) -> Iterator[Record]:
    for number, line, too_long in lines:
        yield Record(f"{name}:{number}", line, too_long)


def _adapted(name: str, lines: Iterator[NumberedLine], convert: Callable[[bytes], Converted]) -> Iterator[Record]:
    for number, line, too_long in lines:
        converted: Converted = [too_long] if too_long else convert(line)
        for index, event in enumerate(converted):
            place = f"{name}:{number}#{index + 1}" if index else f"{name}:{number}"
            rows = 0 if index else 1
            if isinstance(event, Rejected):
                yield Record(place, line, event, rows)
            else:
                yield Record(place, event, None, rows, line)
