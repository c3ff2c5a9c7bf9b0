"""Paths as Flink reads them."""

from pathlib import Path


def flink_path(path: Path) -> str:
    """The path as a `file:` address with all characters as they are: Flink takes an escaped one literally."""
    return f"file://{path.resolve()}"
