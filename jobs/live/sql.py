"""Texts and options in Flink SQL."""

from collections.abc import Mapping


def text(value: str) -> str:
    """A literal."""
    return "'" + value.replace("'", "''") + "'"


def name(value: str) -> str:
    """An identifier."""
    return "`" + value.replace("`", "``") + "`"


def options(values: Mapping[str, str]) -> str:
    """What stands behind WITH."""
    return "(" + ", ".join(f"{text(key)} = {text(value)}" for key, value in values.items()) + ")"


def control_character(number: int) -> str:
    """A literal of one character that cannot be written."""
    return f"U&'\\{number:04X}'"
