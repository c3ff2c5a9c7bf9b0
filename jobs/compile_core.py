"""`python -m jobs.compile_core [FOLDER]`: compile the core, which takes a minute; FOLDER is build/compiled.

Needs mypy, which mypyc is a part of (requirements/test.txt), a C compiler and Python's headers. FOLDER is whole or not
there: what is interrupted leaves what was there before.
"""

import os
import shlex
import shutil
import subprocess
import sys
import sysconfig
import time
from importlib.util import find_spec
from pathlib import Path
from typing import Final

import msgspec

from jobs.compiled_core import (
    CORE,
    EVERY_FEATURE,
    FOLDER,
    GROUP,
    ROOT,
    STAMP_NAME,
    compiled_modules,
    core_files,
    present_stamp,
    stamp_of,
)
from jobs.runtime.children import start_child, stop_child
from jobs.runtime.errors import RuntimeProblem
from state.customer.features import module_that_reads_all

_SETUP: Final = Path(__file__).with_name("compile_setup.py")
_LEVEL: Final = "3"
_LOG_NAME: Final = "compiling.log"
_LOG_LINES: Final = 20


def compile_core(folder: Path = FOLDER, root: Path = ROOT) -> bool:
    """Have a tree of the present sources in `folder`; False: it was there already.

    Raises:
        RuntimeProblem: mypyc, a compiler or headers are missing, or the compilation failed.
    """
    stamp = present_stamp(root)
    if stamp_of(folder) == stamp:
        return False
    if lack := missing_tool():
        raise RuntimeProblem(lack)
    part = folder.with_name(f"{folder.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    try:
        for path in core_files(root):
            copy = part / path.relative_to(root)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, copy)
        if present_stamp(part) != stamp:
            raise RuntimeProblem(f"{' or '.join(CORE)} changed while it was copied: try again")
        _write_modules(part)
        _compile(part, GROUP + stamp.sources[:12], compiled_modules(part))
        (part / STAMP_NAME).write_bytes(msgspec.json.encode(stamp))
        shutil.rmtree(folder, ignore_errors=True)
        part.rename(folder)
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return True


def _write_modules(tree: Path) -> None:
    """Those that there is no plain one of."""
    (tree / EVERY_FEATURE).write_text(module_that_reads_all(), encoding="utf-8")


def missing_tool() -> str:
    """What there is not that it takes, and what to do about it; empty: nothing is missing."""
    if find_spec("mypyc") is None or find_spec("setuptools") is None:
        return f"{sys.executable} has no mypyc: it needs mypy and setuptools (requirements/test.txt)"
    compiler = shlex.split(os.environ.get("CC") or str(sysconfig.get_config_var("CC") or "cc"))[0]
    if shutil.which(compiler) is None:
        return f"no C compiler {compiler}: install one (Debian: apt install gcc), or name it in CC"
    headers = Path(sysconfig.get_path("include"))
    if not (headers / "Python.h").is_file():
        return f"no Python.h in {headers}: install Python's headers (Debian: apt install python3.11-dev)"
    return ""


def _compile(tree: Path, group: str, modules: list[str]) -> None:
    log = tree / _LOG_NAME
    # safe path: the folder of the program has modules of its own
    process = start_child([sys.executable, "-P", _SETUP, group, _LEVEL, *modules], log, cwd=tree)
    try:
        _wait(process, f"compiling {len(modules)} modules")
    finally:
        stop_child(process)
    if process.returncode != 0:
        said = log.read_text(encoding="utf-8", errors="replace").splitlines()[-_LOG_LINES:]
        raise RuntimeProblem("\n".join(["the core could not be compiled:", *said]))
    log.unlink()
    for left in ("build", ".mypy_cache"):
        shutil.rmtree(tree / left, ignore_errors=True)


def _wait(process: "subprocess.Popen[bytes]", what: str) -> None:
    """Until it has ended, saying how long it takes: again and again where somebody looks on, else once."""
    began_s = time.monotonic()
    shown = sys.stderr.isatty()
    if not shown:
        print(f"{what}, about a minute", file=sys.stderr, flush=True)
    while process.poll() is None:
        if shown:
            passed_s = time.monotonic() - began_s
            print(f"\r{what}, about a minute: {passed_s:.0f} s ", end="", file=sys.stderr, flush=True)
        time.sleep(0.2)
    if shown:
        print(file=sys.stderr)


def main() -> None:
    """Compile, or say why not."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER
    try:
        made = compile_core(folder.absolute())
    except RuntimeProblem as problem:
        sys.exit(str(problem))
    except KeyboardInterrupt:
        sys.exit("interrupted: nothing was changed")
    print(f"{folder} is of these sources" if made else f"{folder} is of these sources already")


if __name__ == "__main__":
    main()
