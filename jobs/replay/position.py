"""How far a replay has come, in a file from which a later call goes on."""

import os
from hashlib import blake2b
from pathlib import Path
from typing import Literal

import msgspec

from jobs.runtime.errors import RuntimeProblem
from schemas.logs import Log, LogFile

_EDGE_BYTES = 64 << 10


class ReplayProblem(RuntimeProblem):
    """The replay cannot be done; the message says what to do."""


class FileMark(msgspec.Struct, frozen=True):
    """Tells a file from another one."""

    name: str
    format: str
    size_bytes: int
    edges: str
    """Hash of its first and its last 64 KiB."""


class Position(msgspec.Struct):
    """How far one log has come in one topic."""

    topic: str
    topic_id: str
    """Kafka's own: another one if the topic was made anew."""
    files: list[FileMark]
    latest_ms: int
    """Later times are taken for mistakes: as of the first call, so that the order of records stays that of then."""
    records: int = 0
    """So many, from the start of the log, have been confirmed by the brokers."""
    done: bool = False
    kind: Literal["segmill-replay"] = "segmill-replay"
    version: Literal[1] = 1


def marks(log: Log) -> list[FileMark]:
    """What tells the files of a log, in the order in which they are read.

    Raises:
        OSError: a file cannot be read.
    """
    files = sorted(log.files, key=lambda file: (file.name, file.path))
    return [FileMark(file.name, str(file.format), file.size_bytes, _edges(file)) for file in files]


def load_position(path: Path) -> Position | None:
    """The position in a file; None if there is no file.

    Raises:
        ReplayProblem: it is another kind of file.
    """
    try:
        return msgspec.json.decode(path.read_bytes(), type=Position)
    except FileNotFoundError:
        return None
    except (OSError, msgspec.DecodeError) as error:
        raise ReplayProblem(f"{path}: no position of a replay: {error}") from None


def save_position(path: Path, position: Position) -> None:
    """Write it so that after a crash there is the old one or the new one.

    Raises:
        OSError: it cannot be written.
    """
    part = path.with_name(path.name + ".part")
    with part.open("wb") as out:
        out.write(msgspec.json.format(msgspec.json.encode(position)) + b"\n")
        out.flush()
        os.fsync(out.fileno())
    part.replace(path)


def check_same(position: Position, path: Path, topic: str, topic_id: str, files: list[FileMark]) -> None:
    """Make sure that going on makes sense.

    Raises:
        ReplayProblem: the log, the topic or what is in it is not that of the position.
    """
    anew = f"remove {path} to begin anew"
    if position.topic != topic:
        raise ReplayProblem(f"{path} is of a replay to {position.topic!r}, not to {topic!r}: name another --resume")
    if position.topic_id != topic_id:
        raise ReplayProblem(f"{topic} was deleted and made again since {path} was written: {anew}")
    if position.files != files:
        changed = {mark.name for mark in position.files} ^ {mark.name for mark in files} or {
            one.name for one, other in zip(position.files, files, strict=True) if one != other
        }
        raise ReplayProblem(
            f"the log is not the one that {path} is about ({', '.join(sorted(changed))}): its position means nothing "
            f"in another; give the same files, or {anew}"
        )


def _edges(file: LogFile) -> str:
    with file.path.open("rb") as content:
        first = content.read(_EDGE_BYTES)
        content.seek(max(0, file.size_bytes - _EDGE_BYTES))
        return blake2b(first + content.read(_EDGE_BYTES), digest_size=16).hexdigest()
