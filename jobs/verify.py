"""Holds two exports against each other, line by line: neither is ever in memory as a whole."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from jobs.runtime.errors import RuntimeProblem
from state.rules.features import FEATURES

Line = dict[str, Any]
Key = tuple[str, ...]

KEYS: dict[str, Key] = {
    "profiles.jsonl": ("customer_id",),
    "segments.jsonl": ("segment",),
    "experiments.jsonl": ("experiment", "variant", "shares", "segment"),
    "similar.jsonl": ("relation", "item_id"),
}
"""The files of an export, and the fields that each is sorted by."""

DRIFTING = frozenset(name for name, spec in FEATURES.items() if spec.drift != "static")
"""Features that change by the mere passing of time: as of another time they are others."""
ABSENT = None


_encode = msgspec.json.Encoder().encode


class VerifyProblem(RuntimeProblem):
    """A folder is no export; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Difference:
    """The first field in which two lines differ; `field` is empty if one of the lines is missing."""

    key: str
    field: str
    a: Any
    b: Any


@dataclass(slots=True)
class Compared:
    """What was found of one file."""

    lines_a: int = 0
    lines_b: int = 0
    different: int = 0
    """Lines that are in both and differ."""
    only_a: int = 0
    only_b: int = 0
    of_other_times: int = 0
    """Profiles as of different times, of which only what time alone does not change was compared."""
    first: Difference | None = None

    @property
    def equal(self) -> bool:
        """Whether nothing differs."""
        return self.first is None

    def as_dict(self) -> dict[str, Any]:
        """For machines."""
        result: dict[str, Any] = msgspec.to_builtins(self)
        return {"equal": self.equal, **result}


@dataclass(slots=True)
class Verification:
    """What was found of all files."""

    files: dict[str, Compared] = field(default_factory=dict)

    @property
    def equal(self) -> bool:
        """Whether nothing differs anywhere."""
        return all(compared.equal for compared in self.files.values())


def verify(
    a: Path, b: Path, names: tuple[str, ...], *, ignore_as_of: bool, on_line: Callable[[str], None] = lambda name: None
) -> Verification:
    """Compare files of two folders that `segmill export` wrote.

    `ignore_as_of`: profiles may be as of different times; then only what time alone does not change is compared.

    Raises:
        VerifyProblem: a file is missing, or is not what `export` writes.
    """
    found = Verification()
    for name in names:
        compared = found.files[name] = Compared()
        for key, line_a, line_b in _paired(a / name, b / name, KEYS[name]):
            on_line(name)
            _compare(compared, " ".join(key), line_a, line_b, ignore_as_of=ignore_as_of)
    return found


def _compare(compared: Compared, key: str, a: Line | None, b: Line | None, *, ignore_as_of: bool) -> None:
    compared.lines_a += a is not None
    compared.lines_b += b is not None
    if a is None or b is None:
        compared.only_a += b is None
        compared.only_b += a is None
        difference: Difference | None = Difference(key, "", _presence(a), _presence(b))
    else:
        if ignore_as_of and a.get("as_of_ms") != b.get("as_of_ms"):
            compared.of_other_times += 1
            a, b = _timeless(a), _timeless(b)
        # nearly always, and much faster than looking for a difference; to Python, 5 and True equal 5.0 and 1
        if _encode(a) == _encode(b):
            return
        found = first_difference(a, b)
        if found is None and a == b:  # members in another order
            return
        difference = Difference(key, *(found or ("", a, b)))
        compared.different += 1
    compared.first = compared.first or difference


def _presence(line: Line | None) -> str:
    return "missing" if line is None else "there"


def _timeless(profile: Line) -> Line:
    features = {name: value for name, value in profile["features"].items() if name not in DRIFTING}
    return {name: value for name, value in profile.items() if name != "as_of_ms"} | {"features": features}


def first_difference(a: Any, b: Any, path: str = "") -> tuple[str, Any, Any] | None:
    """(path of the field, value in a, value in b) where two values first differ; None if they are equal.

    Of lists of ids the first one that is in one of them only.
    """
    if isinstance(a, dict) and isinstance(b, dict):
        for name in sorted(a.keys() | b.keys()):
            inside = f"{path}.{name}" if path else name
            if found := first_difference(a.get(name, ABSENT), b.get(name, ABSENT), inside):
                return found
        return None
    if isinstance(a, list) and isinstance(b, list):
        if {type(one) for one in (*a, *b)} == {str} and set(a) != set(b):
            odd = min(set(a) ^ set(b))
            return path, odd if odd in a else ABSENT, odd if odd in b else ABSENT
        for number in range(max(len(a), len(b))):
            one, other = (values[number] if number < len(values) else ABSENT for values in (a, b))
            if found := first_difference(one, other, f"{path}[{number}]"):
                return found
        return None
    return None if type(a) is type(b) and a == b else (path, a, b)


def _paired(a: Path, b: Path, key: Key) -> Iterator[tuple[Key, Line | None, Line | None]]:
    """The lines of both files side by side, by their keys."""
    lines_a, lines_b = _lines(a, key), _lines(b, key)
    one, other = next(lines_a, None), next(lines_b, None)
    while one is not None or other is not None:
        if other is None or (one is not None and one[0] < other[0]):
            assert one is not None  # noqa: S101  (for the type checker)
            yield one[0], one[1], None
            one = next(lines_a, None)
        elif one is None or other[0] < one[0]:
            yield other[0], None, other[1]
            other = next(lines_b, None)
        else:
            yield one[0], one[1], other[1]
            one, other = next(lines_a, None), next(lines_b, None)


def _lines(path: Path, key: Key) -> Iterator[tuple[Key, Line]]:
    decode = msgspec.json.Decoder(dict[str, Any]).decode
    before: Key | None = None
    try:
        lines = path.open("rb")
    except FileNotFoundError:
        raise VerifyProblem(f"{path}: there is none; `segmill export --out {path.parent}` writes it") from None
    with lines:
        for number, text in enumerate(lines, 1):
            try:
                line = decode(text)
                found = tuple(str(line[name]) for name in key)
            except (msgspec.DecodeError, KeyError):
                raise VerifyProblem(f"{path}:{number}: no line of an export") from None
            if before is not None and found <= before:
                raise VerifyProblem(f"{path}:{number}: not in the order of an export ({', '.join(key)})")
            before = found
            yield found, line
