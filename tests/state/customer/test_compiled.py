"""The compiled modules say and save what the plain ones do, byte for byte, of streams that are hard on them."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from jobs.compiled_core import library_suffix

pytestmark = pytest.mark.slow
HERE = Path(__file__).parent
ROOT = HERE.parents[2]
RUNS = ("nasty:1", "nasty:2", "ruled:1", "ruled:2", "simulated:1", "items:1", "hot:1")


def said_and_saved(tree: Path) -> dict[str, Any]:
    """By a Python of its own, in which the modules of `tree` come first."""
    path = os.pathsep.join(map(str, (tree, ROOT, HERE, HERE.parent / "items", ROOT / "tests")))
    ran = subprocess.run(
        [sys.executable, "-P", HERE / "said_and_saved.py", *RUNS],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    found: dict[str, Any] = json.loads(ran.stdout)
    return found


def test_they_are_the_same(compiled_tree: Path) -> None:
    """Outputs and every packed state: to the end and live, late, twice, with other rules, packed at every event."""
    plain, compiled = said_and_saved(ROOT), said_and_saved(compiled_tree)
    assert plain.pop("from") == str(ROOT / "state/customer/fold.py")
    assert compiled.pop("from") == str(compiled_tree / f"state/customer/fold{library_suffix()}")
    assert plain.pop("reader") is None  # a function without a module
    assert compiled.pop("reader") == "state.customer.every_feature"
    assert list(plain) == list(RUNS)
    assert all(outputs > 1_000 and saves > 1_000 for outputs, saves, _, _ in plain.values())
    assert plain["hot:1"][2] > 100  # chunks
    assert compiled == plain
