"""Operators that a job brings along with a release of the code, and that find this release where they run.

In thread mode all jobs of a TaskManager, one after another, share one Python. It would go on with the modules that the
first of them has loaded: another release of Segmill would run the old code, and even a restarted job would look for
files in a folder that Flink has removed. So an operator is unpickled by a function which comes with it, by value, and
which first lets go of modules that are not of its release or whose folder is gone.
"""

import copyreg
import pickle
import sys
from typing import Any

import cloudpickle

_build: str | None = None
"""The release that operators are pickled with from now on; None: whatever is there where they run."""


def ship(build: str) -> None:
    """Pickle operators as those of this release, which is on the path where they run, with a module `segmill_build`."""
    global _build
    _build = build
    cloudpickle.register_pickle_by_value(sys.modules[__name__])


class Shipped:
    """What is brought along: to be inherited by operators."""

    def __reduce__(self) -> Any:
        if _build is None:
            return copyreg.__newobj__, (type(self),), self.__dict__  # type: ignore[attr-defined]
        return load, (_build, pickle.dumps((type(self), self.__dict__)))


def load(build: str, pickled: bytes) -> Any:
    """The operator again, by the code of its release. Knows nothing of this module: it is pickled by value.

    PyFlink calls it for one operator at a time.
    """
    import importlib
    import os
    import pickle
    import sys

    known: Any = sys.modules.get("segmill_build")
    if known is None or build != known.BUILD or not os.path.exists(known.__file__):
        ours = []
        for folder in list(sys.path):
            try:
                with open(os.path.join(folder, "segmill_build.py"), encoding="utf-8") as file:
                    stated = file.read()
            except OSError:
                continue
            sys.path.remove(folder)
            if repr(build) in stated:
                ours.append(folder)
        sys.path[:0] = ours[-1:]
        for name in list(sys.modules):
            ours_too = name.startswith("segmill_core_")  # the library of the compiled core (jobs/compiled_core.py)
            if ours_too or name.partition(".")[0] in ("schemas", "state", "operators", "jobs", "segmill_build"):
                del sys.modules[name]
        importlib.invalidate_caches()
        if ours:
            importlib.import_module("segmill_build")
    kind, state = pickle.loads(pickled)  # noqa: S301  (part of the job, as the code is)
    operator = kind.__new__(kind)
    operator.__dict__.update(state)
    return operator
