"""The project's own code as one archive, which a job brings along: a cluster needs the requirements only.

`python -m jobs.live.package FILE` writes it for `flink run -pyfs FILE`, with the compiled core if there is one
(`--no-compiled`: without).
"""

import hashlib
import zipfile
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Final

import click

from jobs.compiled_core import FOLDER, OtherSources, libraries

PACKAGES: Final = ("schemas", "state", "operators", "jobs")
BUILD_FILE: Final = "segmill_build.py"
_ROOT: Final = Path(__file__).parents[2]
_KINDS: Final = (".py", ".toml", ".lua")
_EPOCH: Final = (1980, 1, 1, 0, 0, 0)


def write_package(path: Path, compiled: Mapping[str, Path] | None = None) -> str:
    """Write the archive, the same bytes for the same code; returns what names the release (operators/shipping.py).

    `compiled`: libraries by their places in it. Where Python or the platform is another one, they are not looked at.
    """
    sources = [(source.relative_to(_ROOT).as_posix(), source.read_bytes()) for source in _sources()]
    sources += [(name, library.read_bytes()) for name, library in (compiled or {}).items()]
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


def compiled_core(say: Callable[[str], None], folder: Path = FOLDER) -> dict[str, Path]:
    """The libraries that a job can bring along; says so, and why not if there are some of other sources."""
    try:
        found = libraries(folder)
    except OtherSources as other:
        say(str(other))
        return {}
    if found:
        say("with the compiled core")
    return found


def _sources() -> Iterator[Path]:
    for package in PACKAGES:
        yield from sorted(path for path in (_ROOT / package).rglob("*") if path.suffix in _KINDS)


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--compiled/--no-compiled", default=True, help="With the compiled core, if there is one.")
@click.option(
    "--compiled-in",
    type=click.Path(path_type=Path, file_okay=False),
    default=FOLDER,
    help="Where it lies, if elsewhere.",
)
def main(file: Path, compiled: bool, compiled_in: Path) -> None:
    """Write the archive."""
    write_package(file, compiled_core(partial(click.echo, err=True), compiled_in.absolute()) if compiled else None)


if __name__ == "__main__":
    main()
