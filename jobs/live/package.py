"""The project's own code as one archive, which a job brings along: a cluster needs the requirements only.

`python -m jobs.live.package FILE` writes it for `flink run -pyfs FILE`.
"""

import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

PACKAGES: Final = ("schemas", "state", "operators", "jobs")
_ROOT: Final = Path(__file__).parents[2]
_KINDS: Final = (".py", ".toml", ".lua")
_EPOCH: Final = (1980, 1, 1, 0, 0, 0)


def write_package(path: Path) -> Path:
    """Write the archive, the same bytes for the same code."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for source in _sources():
            entry = zipfile.ZipInfo(source.relative_to(_ROOT).as_posix(), _EPOCH)
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, source.read_bytes(), zipfile.ZIP_DEFLATED)
    return path


def _sources() -> Iterator[Path]:
    for package in PACKAGES:
        yield from sorted(path for path in (_ROOT / package).rglob("*") if path.suffix in _KINDS)


if __name__ == "__main__":
    write_package(Path(sys.argv[1]))
