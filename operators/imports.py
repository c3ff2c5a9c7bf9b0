"""Imports that do not work in just any thread of Java's."""

from importlib import import_module
from threading import Thread


def import_apart(name: str) -> None:
    """Import a module in a thread of Python's own.

    In thread mode every operator has a Python interpreter state of its own, and several operators a thread. Extension
    modules made with pybind11, of which SciPy has some, ask as they are loaded for *the* state of their thread: in any
    but the first operator that is another one, which waits for the lock that this one holds, for ever. A thread that
    Python itself has started has one state. (Seen with PyFlink 2.3, pemja 0.5, SciPy 1.17.)

    Raises:
        ImportError: it cannot be imported.
    """
    failed: list[ImportError] = []

    def load() -> None:
        try:
            import_module(name)
        except ImportError as error:
            failed.append(error)

    thread = Thread(target=load, name=f"import {name}")
    thread.start()
    thread.join()
    if failed:
        raise failed[0]
