"""The project's own code as one archive, which a job brings along: a cluster needs the requirements only.

`python -m jobs.live.package FILE` writes it for `flink run -pyfs FILE`.
"""

import hashlib
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

PACKAGES: Final = ("schemas", "state", "operators", "jobs")
BUILD_FILE: Final = "segmill_build.py"
_ROOT: Final = Path(__file__).parents[2]
_KINDS: Final = (".py", ".toml", ".lua")
_EPOCH: Final = (1980, 1, 1, 0, 0, 0)


def write_package(path: Path) -> str:
    """Write the archive, the same bytes for the same code; returns what names the release (operators/shipping.py)."""
    sources = [(source.relative_to(_ROOT).as_posix(), source.read_bytes()) for source in _sources()]
    digest = hashlib.blake2b(digest_size=12)
    for name, content in sources:
        digest.update(f"{name}:{len(content)}:".encode() + content)
    build = digest.hexdigest()
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in [*sources, (BUILD_FILE, f"BUILD = {build!r}\n".encode())]:
            entry = zipfile.ZipInfo(name, _EPOCH)
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, content, zipfile.ZIP_DEFLATED)
    return build


def _sources() -> Iterator[Path]:
    for package in PACKAGES:
        yield from sorted(path for path in (_ROOT / package).rglob("*") if path.suffix in _KINDS)


if __name__ == "__main__":
    write_package(Path(sys.argv[1]))
