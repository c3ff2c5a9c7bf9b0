"""The layout holds: imports point one way, the core knows no engine, and no file knows where it was written."""

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LAYERS = ("schemas", "state", "serving", "operators", "jobs")
"""Each may import itself and those before it; operators know nothing of serving."""
OF_ENGINES = {"pyflink", "py4j", "pemja", "redis", "click", "rich"}
"""What state and schemas must do without: an engine, a server, a terminal."""
MACHINE_PATH = re.compile(r"(?<![\w./~*)}-])/(?:home|root|Users|work|workspace|mnt)/\w")
INDEX_ADDRESS = re.compile(r"--(?:extra-)?index-url|--find-links|://[\w.-]*pypi")
CONTROL_CHARACTER = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
MADE = {"out", "export", "build"}
TEXTS = {".py", ".md", ".toml", ".yaml", ".txt", ".in", ".lua", ".json", ".jsonl", ".html", ".css", ".js", ".svg", ""}


def modules(layer: str) -> list[Path]:
    return sorted((ROOT / layer).rglob("*.py"))


def imported(path: Path) -> Iterator[tuple[int, str]]:
    """(line, top-level package) of every import, those inside functions and for type checking included."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name.partition(".")[0]) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: a relative import"
            yield node.lineno, str(node.module).partition(".")[0]


def texts() -> Iterator[Path]:
    """Files that belong to the project: nothing hidden, nothing that a command made."""
    for top in sorted(ROOT.iterdir()):
        if top.name.startswith(".") or top.name in MADE or top.suffix == ".egg-info":
            continue
        for path in sorted(top.rglob("*")) if top.is_dir() else [top]:
            if path.is_file() and path.suffix in TEXTS and not {"__pycache__", "savepoints"} & set(path.parts):
                yield path


class TestImports:
    @pytest.mark.parametrize("layer", LAYERS)
    def test_they_point_one_way(self, layer: str) -> None:
        """jobs -> operators -> state -> schemas, and jobs -> serving -> state."""
        assert modules(layer)
        above = {*LAYERS[LAYERS.index(layer) + 1 :], "tests", "benchmarks"}
        if layer == "operators":
            above.add("serving")
        wrong = [
            f"{path.relative_to(ROOT)}:{line}: imports {package}"
            for path in modules(layer)
            for line, package in imported(path)
            if package in above
        ]
        assert wrong == []

    @pytest.mark.parametrize("layer", ["schemas", "state"])
    def test_the_core_knows_no_engine(self, layer: str) -> None:
        """So that it can be tested, timed and bound to something else."""
        wrong = [
            f"{path.relative_to(ROOT)}:{line}: imports {package}"
            for path in modules(layer)
            for line, package in imported(path)
            if package in OF_ENGINES
        ]
        assert wrong == []

    @pytest.mark.parametrize("part", ["ranking", "content", "evaluation", "catalog"])
    def test_what_is_served_knows_no_server(self, part: str) -> None:
        """Neither Redis nor Flink nor a web framework: whoever serves it brings that along."""
        wrong = [
            f"{path.relative_to(ROOT)}:{line}: imports {package}"
            for path in modules(f"serving/{part}")
            for line, package in imported(path)
            if package in OF_ENGINES | {"confluent_kafka", "granian", "starlette", "litestar", "hiredis"}
        ]
        assert wrong == []

    def test_the_example_shop_needs_the_api_only(self) -> None:
        """The standard library, and itself: what it does, any shop can do. (Its demo starts Segmill, too.)"""
        shop = [path for path in modules("examples/shop") if path.name != "demo.py"]
        assert shop
        wrong = [
            f"{path.relative_to(ROOT)}:{line}: imports {package}"
            for path in shop
            for line, package in imported(path)
            if package not in sys.stdlib_module_names | {"examples"}
        ]
        assert wrong == []


class TestFiles:
    def test_no_machine_is_named(self) -> None:
        """No path of somebody's home, no address of somebody's package index."""
        wrong = [
            f"{path.relative_to(ROOT)}:{number}: {line.strip()[:80]}"
            for path in texts()
            for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
            if (MACHINE_PATH.search(line) or INDEX_ADDRESS.search(line)) and path != Path(__file__)
        ]
        assert wrong == []

    def test_no_control_characters(self) -> None:
        """Nobody sees them, and an escape that lost its backslash becomes one."""
        wrong = [
            f"{path.relative_to(ROOT)}:{number}"
            for path in texts()
            for number, line in enumerate(path.read_text(encoding="utf-8").split("\n"), 1)
            if CONTROL_CHARACTER.search(line)
        ]
        assert wrong == []

    def test_every_package_is_installed(self) -> None:
        """A folder with modules that pyproject.toml forgets would be missing from a wheel."""
        declared = set(re.findall(r'"((?:schemas|state|serving|operators|jobs)[\w.]*)"', _packages()))
        found = {".".join(path.parent.relative_to(ROOT).parts) for layer in LAYERS for path in modules(layer)}
        assert declared == found


def _packages() -> str:
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    return text.split("\npackages = ", 1)[1].split("]", 1)[0]
