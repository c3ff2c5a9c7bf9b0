"""Settings files: TOML in UTF-8."""

import tomllib
from pathlib import Path
from typing import Any


def toml_document(path: Path, error: type[ValueError]) -> dict[str, Any]:
    """What stands in a file; `error` is raised if it cannot be read or is no TOML, with the file's name and why."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as cause:
        raise error(f"{path}: {cause.strerror}") from cause
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as cause:
        raise error(f"{path}: {cause}") from cause
