"""The core as compiled modules: of which sources they are, and which of them a job can bring along.

`python -m jobs.compile_core` makes them from a copy of the core, into a tree of their own: `schemas` and `state` with a
library beside each module that was compiled. The plain modules do the same, only slower.
"""

import hashlib
import sysconfig
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec

ROOT: Final = Path(__file__).parents[1]
FOLDER: Final = ROOT / "build" / "compiled"
CORE: Final = ("schemas", "state")
"""What the tree holds: what is compiled, and what that knows types and constants of."""
COMPILED: Final = (
    "schemas/decode.py",
    "schemas/money.py",
    "schemas/profiles.py",
    "schemas/writes.py",
    "state/chunks.py",
    "state/customer/*.py",
    "state/experiments/exposures.py",
    "state/experiments/told.py",
    "state/generations.py",
    "state/impressions/*.py",
    "state/items/*.py",
    "state/packing.py",
    "state/publications.py",
    "state/rules/membership.py",
    "state/similar/*.py",
    "state/versions.py",
)
"""What takes an event its time. No `__init__.py`: a package that is compiled does not find its modules in another
folder than the first one, and a job that starts again has its code in another one."""
EVERY_FEATURE: Final = "state/customer/every_feature.py"
"""A module that is there compiled only: written from a table (`state.customer.features.module_that_reads_all`)."""
GROUP: Final = "segmill_core_"
"""The name of the library that all of them share, before the digest: so that two releases never meet in one Python."""
STAMP_NAME: Final = "stamp.json"
_KINDS: Final = (".py", ".toml")


class Stamp(msgspec.Struct, frozen=True):
    """What a tree was compiled from and for."""

    sources: str
    """Digest."""
    suffix: str
    """Of its libraries: Python's version and ABI, and the platform."""


class OtherSources(Exception):  # noqa: N818  (nothing is wrong: one goes on without)
    """There are compiled modules, but of other sources, or for another Python or platform; the message says so."""


def present_stamp(root: Path = ROOT) -> Stamp:
    """That of a tree which would be compiled now."""
    digest = hashlib.blake2b(repr(COMPILED).encode(), digest_size=12)
    for path in core_files(root):
        if path.suffix == ".py":
            content = path.read_bytes()
            digest.update(f"{path.relative_to(root).as_posix()}:{len(content)}:".encode() + content)
    return Stamp(digest.hexdigest(), library_suffix())


def library_suffix() -> str:
    """How this Python's libraries end: those that end otherwise it does not see."""
    return str(sysconfig.get_config_var("EXT_SUFFIX"))


def core_files(root: Path = ROOT) -> Iterator[Path]:
    """What a tree is copied from."""
    for package in CORE:
        yield from sorted(path for path in (root / package).rglob("*") if path.suffix in _KINDS)


def compiled_modules(root: Path = ROOT) -> list[str]:
    """The modules that are compiled, as paths below `root`."""
    found = {path for pattern in COMPILED for path in root.glob(pattern) if path.name != "__init__.py"}
    return sorted(path.relative_to(root).as_posix() for path in found)


def stamp_of(folder: Path) -> Stamp | None:
    """That of a tree; None: there is none."""
    try:
        return msgspec.json.decode((folder / STAMP_NAME).read_bytes(), type=Stamp)
    except FileNotFoundError:
        return None


def libraries(folder: Path = FOLDER, root: Path = ROOT) -> dict[str, Path]:
    """The libraries of a tree, by their places in it; empty if nothing was compiled.

    Raises:
        OtherSources: they are not those of the sources in `root`, or not for this Python and platform.
    """
    stamp = stamp_of(folder)
    if stamp is None:
        return {}
    name = folder.relative_to(root) if folder.is_relative_to(root) else folder
    present = present_stamp(root)
    if stamp.suffix != present.suffix:
        raise OtherSources(f"{name} is for another Python ({stamp.suffix}): make compiled; going on without")
    if stamp.sources != present.sources:
        raise OtherSources(f"{name} is of other sources: make compiled; going on without")
    found = sorted(folder.rglob(f"*{stamp.suffix}"))
    return {path.relative_to(folder).as_posix(): path for path in found}
