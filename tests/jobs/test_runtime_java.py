"""Which Java is taken."""

from pathlib import Path

import pytest

from jobs.runtime.java import find_java, version_of


def java_home(folder: Path, version: str | None, answer: str = "exit 1") -> Path:
    """A folder that looks like a Java; with `version` in its release file."""
    (folder / "bin").mkdir(parents=True)
    program = folder / "bin" / "java"
    program.write_text(f"#!/bin/sh\n{answer}\n")
    program.chmod(0o755)
    if version is not None:
        (folder / "release").write_text(f'IMPLEMENTOR="x"\nJAVA_VERSION="{version}"\n')
    return folder


class TestVersion:
    @pytest.mark.parametrize(
        ("stated", "major"), [("21.0.8", 21), ("17", 17), ("11.0.2", 11), ("1.8.0_392", 8), ("25-ea", 25)]
    )
    def test_release_file(self, tmp_path: Path, stated: str, major: int) -> None:
        """The release file tells, without starting anything."""
        assert version_of(java_home(tmp_path / "j", stated)) == major

    def test_without_release_file_it_is_asked(self, tmp_path: Path) -> None:
        """Some distributions ship none."""
        home = java_home(tmp_path / "j", None, """echo 'openjdk version "17.0.15" 2025-04-15' >&2""")
        assert version_of(home) == 17

    def test_no_java(self, tmp_path: Path) -> None:
        """An empty folder, and a program that fails, are no Java."""
        assert version_of(tmp_path) is None
        assert version_of(java_home(tmp_path / "j", None)) is None


class TestChoice:
    def test_java_home_if_it_fits(self, tmp_path: Path) -> None:
        """The user's choice comes first."""
        home = java_home(tmp_path / "j", "17.0.1")
        java = find_java({"JAVA_HOME": str(home)})
        assert (java.home, java.version, java.origin) == (home, 17, "JAVA_HOME")

    @pytest.mark.parametrize("version", ["1.8.0_1", "25", None])
    def test_else_the_shipped_one(self, tmp_path: Path, version: str | None) -> None:
        """A Java that Flink does not run on is passed over, with a reason."""
        environ = {"JAVA_HOME": str(java_home(tmp_path / "j", version))} if version else {}
        java = find_java(environ)
        assert java.version == 21
        assert "JAVA_HOME" in java.origin
        assert java.executable.exists()
