"""The compiled core: whether it is of these sources, and how it gets into the archive that a job brings along."""

import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from jobs import compile_core as compiling
from jobs.compile_core import compile_core
from jobs.compiled_core import (
    OtherSources,
    Stamp,
    compiled_modules,
    libraries,
    library_suffix,
    present_stamp,
    stamp_of,
)
from jobs.live.package import compiled_core, main, write_package
from jobs.runtime.errors import RuntimeProblem

LIBRARY = f"state/packing{library_suffix()}"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Sources of a small core."""
    for name in (
        "schemas/facts.py",
        "state/__init__.py",
        "state/packing.py",
        "state/customer/__init__.py",
        "state/customer/fold.py",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("A = 1\n")
    return tmp_path


def stamped(folder: Path, stamp: Stamp) -> Path:
    """A tree as if it had been compiled, with one library."""
    (folder / "state").mkdir(parents=True, exist_ok=True)
    (folder / f"state/packing{stamp.suffix}").write_bytes(b"machine code")
    (folder / "state/packing.py").write_text("A = 1\n")
    (folder / "stamp.json").write_text(f'{{"sources": "{stamp.sources}", "suffix": "{stamp.suffix}"}}')
    return folder


class TestStamp:
    def test_it_fits(self, root: Path) -> None:
        """Then the libraries are there, by their places, and nothing else of the tree."""
        folder = stamped(root / "build" / "compiled", present_stamp(root))
        assert libraries(folder, root) == {LIBRARY: folder / LIBRARY}

    def test_nothing_was_compiled(self, root: Path) -> None:
        assert libraries(root / "build" / "compiled", root) == {}

    @pytest.mark.parametrize(
        "change",
        [
            lambda root: (root / "state/packing.py").write_text("A = 2\n"),
            lambda root: (root / "schemas/facts.py").write_text("A = 2\n"),
            lambda root: (root / "state/customer/cart.py").write_text("A = 1\n"),
            lambda root: (root / "state/customer/fold.py").unlink(),
        ],
        ids=["what is compiled", "what it knows of", "one more", "one less"],
    )
    def test_other_sources(self, root: Path, change: Callable[[Path], object]) -> None:
        """Whatever compiled modules have taken over: constants of plain ones, too."""
        folder = stamped(root / "build" / "compiled", present_stamp(root))
        change(root)
        with pytest.raises(
            OtherSources, match=r"^build/compiled is of other sources: make compiled; going on without$"
        ):
            libraries(folder, root)

    def test_another_python(self, root: Path) -> None:
        """Or another platform: its libraries would not be found."""
        other = Stamp(present_stamp(root).sources, ".cpython-312-aarch64-linux-gnu.so")
        folder = stamped(root / "build" / "compiled", other)
        with pytest.raises(OtherSources, match=r"for another Python .*aarch64.*make compiled; going on without"):
            libraries(folder, root)

    def test_what_is_compiled(self, root: Path) -> None:
        """No package itself; and of this project what an event goes through."""
        assert compiled_modules(root) == ["state/customer/fold.py", "state/packing.py"]
        assert {"state/customer/logic.py", "state/impressions/ledger.py", "state/rules/membership.py"} < set(
            compiled_modules()
        )


class TestPackage:
    def test_with_and_without(self, root: Path, tmp_path: Path) -> None:
        """The archive has the libraries beside the plain modules; another release it is, too."""
        compiled = libraries(stamped(root / "build" / "compiled", present_stamp(root)), root)
        without, having = write_package(tmp_path / "1.zip"), write_package(tmp_path / "2.zip", compiled)
        with zipfile.ZipFile(tmp_path / "1.zip") as one, zipfile.ZipFile(tmp_path / "2.zip") as two:
            assert set(two.namelist()) - set(one.namelist()) == {LIBRARY}
            assert set(one.namelist()) < set(two.namelist())
            assert two.read(LIBRARY) == b"machine code"
            assert having.encode() in two.read("segmill_build.py")
        assert without != having
        (root / "build" / "compiled" / LIBRARY).write_bytes(b"other machine code")
        assert write_package(tmp_path / "3.zip", compiled) not in (without, having)

    def test_what_is_said(self, tmp_path: Path) -> None:
        """With it, without it, and if it is of other sources than the project's."""
        said: list[str] = []
        folder = tmp_path / "compiled"
        assert compiled_core(said.append, folder) == {}
        assert said == []
        assert compiled_core(said.append, stamped(folder, present_stamp())) == {LIBRARY: folder / LIBRARY}
        assert said == ["with the compiled core"]
        assert compiled_core(said.append, stamped(folder, Stamp("another", library_suffix()))) == {}
        assert said[1:] == [f"{folder} is of other sources: make compiled; going on without"]

    @pytest.mark.parametrize(("options", "has"), [((), True), (("--no-compiled",), False)])
    def test_by_its_command(self, tmp_path: Path, options: tuple[str, ...], has: bool) -> None:
        folder = stamped(tmp_path / "compiled", present_stamp())
        arguments = [str(tmp_path / "code.zip"), "--compiled-in", str(folder), *options]
        main.main(arguments, standalone_mode=False)
        with zipfile.ZipFile(tmp_path / "code.zip") as archive:
            assert (LIBRARY in archive.namelist()) is has


class TestCompiling:
    def test_it_is_there_already(self, root: Path) -> None:
        """Nothing is done, and nothing is needed for it."""
        folder = stamped(root / "build" / "compiled", present_stamp(root))
        assert compile_core(folder, root) is False

    def test_no_compiler(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """What was there is left as it was, as in the tests below."""
        folder = stamped(root / "build" / "compiled", Stamp("another", library_suffix()))
        monkeypatch.setenv("CC", "no-such-compiler -O2")
        with pytest.raises(RuntimeProblem, match=r"no C compiler no-such-compiler: install one"):
            compile_core(folder, root)
        assert_left(folder)

    def test_no_mypyc(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        folder = stamped(root / "build" / "compiled", Stamp("another", library_suffix()))
        monkeypatch.setattr(compiling, "find_spec", lambda name: None)
        with pytest.raises(RuntimeProblem, match=r"has no mypyc: it needs mypy and setuptools"):
            compile_core(folder, root)
        assert_left(folder)

    def test_interrupted(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """By Ctrl-C, while it waits: the program that compiles has ended."""
        folder = stamped(root / "build" / "compiled", Stamp("another", library_suffix()))
        started = []

        def interrupted(process: object, _: str) -> None:
            started.append(process)
            raise KeyboardInterrupt

        monkeypatch.setattr(compiling, "_wait", interrupted)
        with pytest.raises(KeyboardInterrupt):
            compile_core(folder, root)
        assert_left(folder)
        assert started[0].returncode is not None

    @pytest.mark.slow
    def test_it_cannot_be_compiled(self, root: Path) -> None:
        """The message has what mypyc said."""
        folder = stamped(root / "build" / "compiled", Stamp("another", library_suffix()))
        (root / "state/customer/fold.py").write_text('A: int = "one"\n')
        with pytest.raises(RuntimeProblem, match=r"(?s)could not be compiled.*fold\.py:1: error: Incompatible types"):
            compile_core(folder, root)
        assert_left(folder)


def assert_left(folder: Path) -> None:
    """What was there before, and nothing beside it."""
    assert stamp_of(folder) == Stamp("another", library_suffix())
    assert list(folder.parent.iterdir()) == [folder]
