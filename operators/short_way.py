"""A shorter way for records in thread mode: from Java straight into the operator's function, and out again.

PyFlink leads every record through four generators, and Java learns that a record has no (more) output by an exception
with a stack trace, thrown across the border between the languages: together more than the work of most records. An
operator that is being opened finds PyFlink's operation in the frames below and puts a function before its method: what
goes to side outputs is handed over at once, and for a record without main output Java gets an empty iterator of its own
kind. No other operator, job or process sees that, and where PyFlink is not as expected (in process mode, say) nothing
changes: the functions of the operators are the same both ways, and so is the order within each output.
"""

import sys
from collections.abc import Callable, Iterable
from importlib import import_module
from threading import get_ident
from typing import Any

from pyflink.common import Row
from pyflink.datastream import OutputTag

from operators.garbage import collect_seldom

SWITCH_S = 0.0005
"""How long a thread may keep Python's lock while others wait for it. The operators of a TaskManager are threads that
hand each other records: with Python's 5 ms each hand-over waits for a thread that has enough to do."""
_DEPTH = 8
_EMPTY_ITERATOR = "org.apache.flink.shaded.jackson2.com.fasterxml.jackson.databind.MappingIterator"
"""A public Java class whose empty iterator has no state and lets itself be closed any number of times."""
_METHODS = {
    "process_element": ("process_element", "_process_element_func", 1),
    "process_element1": ("process_element", "_process_element_func1", 1),
    "process_element2": ("process_broadcast_element", "_process_element_func2", None),
    "on_timer": ("on_timer", "_on_timer_func", None),
}
"""PyFlink's method: the operator's own, where PyFlink keeps its way to it, and the field that it takes of a record."""


def take_short_way() -> None:
    """To be called from an operator's `open`. Its keyed inputs must be (key, payload) rows of strings and bytes.

    Whether there is such a way or not, Python is set up for many records.
    """
    _FIRST_ERRORS.pop(get_ident(), None)
    sys.setswitchinterval(SWITCH_S)
    collect_seldom()
    owner = _owner()
    if owner is None or len(owner._operations) != 1:
        return
    try:
        pemja: Any = import_module("pemja")  # installed everywhere, but it loads only inside the JVM
        nothing = pemja.findClass(_EMPTY_ITERATOR).emptyIterator()
        ways = {name: _way(owner, name, nothing) for name in _METHODS if hasattr(owner, name)}
    except (ImportError, AttributeError, KeyError, StopIteration, TypeError):
        return
    for name, way in ways.items():
        setattr(owner, name, way)


def _owner() -> Any:
    """PyFlink's operation, which Java calls: found below us while it opens the operator."""
    frame: Any = sys._getframe(2)
    for _ in range(_DEPTH):
        owner = frame.f_locals.get("self")
        if hasattr(owner, "_main_operation") and hasattr(owner, "_output_data_converter"):
            return owner
        frame = frame.f_back
        if frame is None:
            break
    return None


def _way(owner: Any, name: str, nothing: Any) -> Callable[[Any], Any]:
    function_name, kept_as, field = _METHODS[name]
    variables = _closure(getattr(owner._main_operation, kept_as))
    function = variables[function_name]
    context = next(value for key, value in variables.items() if key.endswith(("context", "ctx")))
    # timers of broadcast functions have no side outputs in PyFlink: theirs are those of the keyed input
    first = getattr(owner._main_operation, "_process_element_func1", None)
    collect, converters = _side_outputs(variables if first is None else _closure(first))
    sideways = {tag_id: _outwards(converter) for tag_id, converter in converters.items()}
    outwards = _outwards(owner._output_data_converter)

    def sent(results: Iterable[Any] | None) -> Any:
        if not results:
            return nothing
        main = []
        for result in results:
            if type(result) is tuple and type(result[0]) is OutputTag:
                tag_id = result[0].tag_id
                collect(tag_id, sideways[tag_id](result[1]))
            else:
                main.append(outwards(result))
        return (one for one in main) if main else nothing  # pemja knows generators, but no other iterators

    if name == "on_timer":
        return _telling(lambda timestamp: sent(function(timestamp, context)))
    if field == 1:
        keyed = _Keyed(context)

        def process(value: Any) -> Any:
            keyed.key, payload = value[1]
            return sent(function(payload, keyed))

        return _telling(process)
    return _telling(lambda value: sent(function(value[1], context)))


def _outwards(converter: Any) -> Callable[[Any], Any]:
    """What makes a record one for Java; rows whose fields go as they are need no converters."""
    try:
        as_they_are = converter.to_external(Row("key", b"payload")) == (0, ("key", b"payload"))
    except (AttributeError, TypeError, ValueError):
        as_they_are = False
    return _row_as_it_is if as_they_are else converter.to_external


def _row_as_it_is(row: Any) -> tuple[int, tuple[Any, ...]]:
    return 0, tuple(row._values)


def _telling(way: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """The way, made to fail with the error of the operator that failed.

    An operator chained behind a side output fails below `collect`. What comes back from there through Java is a
    RuntimeError that has lost its cause; so the first error of a thread is kept, and raised in its place.
    """

    def told(value: Any) -> Any:
        try:
            return way(value)
        except Exception as error:  # noqa: BLE001  (raised again)
            raise _FIRST_ERRORS.setdefault(get_ident(), error) from None

    return told


_FIRST_ERRORS: dict[int, Exception] = {}
"""By thread; a task that has failed never goes on in its thread, but another one may have its number."""


class _Keyed:
    """PyFlink's context for one record, whose key came with it: asking Java costs ten times as much."""

    __slots__ = ("_context", "_timers", "key")

    def __init__(self, context: Any) -> None:
        self._timers = context.timer_service()
        self._context = context
        self.key = ""

    def timestamp(self) -> int | None:
        at_ms: int | None = self._context.timestamp()
        return at_ms

    def get_current_key(self) -> str:
        return self.key

    def timer_service(self) -> Any:
        return self._timers

    def get_broadcast_state(self, descriptor: Any) -> Any:
        return self._context.get_broadcast_state(descriptor)


def _side_outputs(variables: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    """How to hand over to a side output, and what its records are converted with."""
    context = _closure(variables["process_func"]).get("side_output_context") if "process_func" in variables else None
    if context is None:
        return None, {}
    return context._j_side_output_context.collectSideOutputById, context._side_output_converters


def _closure(function: Any) -> dict[str, Any]:
    cells = function.__closure__ or ()
    return {name: cell.cell_contents for name, cell in zip(function.__code__.co_freevars, cells, strict=True)}
