"""Which processes belong to a stack, asked of the kernel and not of the stack."""

import os
import time
from pathlib import Path


def processes_of(folder: Path) -> set[int]:
    """Processes whose working folder is that of the stack, or lies in it: so it is with all servers."""
    found = set()
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                if Path(os.readlink(entry / "cwd")).is_relative_to(folder.resolve()):
                    found.add(int(entry.name))
            except OSError:  # gone meanwhile, or dead and not collected
                continue
    return found


def none_left(folder: Path, within_s: float = 10.0) -> bool:
    """Whether the last of them ends in time."""
    deadline = time.monotonic() + within_s
    while processes_of(folder) and time.monotonic() < deadline:
        time.sleep(0.1)
    return not processes_of(folder)
