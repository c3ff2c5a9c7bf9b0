"""The short way of records, on a stand-in for what PyFlink builds around an operator inside Java."""

import sys
from collections.abc import Iterator
from types import GeneratorType, SimpleNamespace
from typing import Any

import pytest
from pyflink.datastream import OutputTag

from operators.short_way import take_short_way

SIDE = OutputTag("side")
NOTHING = object()


class Echo:
    """Says on the main and on the side output what the payload asks for."""

    def open(self, context: Any) -> None:
        take_short_way()

    def process_element(self, value: bytes, ctx: Any) -> Iterator[Any] | tuple[()]:
        return self._said(ctx.get_current_key(), value) if value else ()

    def on_timer(self, timestamp: int, ctx: Any) -> Iterator[Any]:
        return self._said(ctx.get_current_key(), b"ms")

    def _said(self, key: str, value: bytes) -> Iterator[Any]:
        for letter in value.decode():
            yield (SIDE, f"{key}-side") if letter == "s" else f"{key}-main"


class Outwards:
    """A converter that marks what went through it."""

    def __init__(self, mark: str) -> None:
        self.mark = mark

    def to_external(self, value: str) -> str:
        return f"{self.mark}:{value}"


class Context:
    """PyFlink's context: Java knows the key."""

    def get_current_key(self) -> str:
        return "asked"

    def timer_service(self) -> None:
        return None


def pyflinks_main_operation(function: Any, side_output_context: Any) -> Any:
    """Closures named as in pyflink/fn_execution/datastream/embedded/operations.py."""
    function_context, timer_context = Context(), Context()
    process_element, on_timer = function.process_element, function.on_timer

    def process_func(values: Any) -> Any:
        for value in values:
            if isinstance(value, tuple):
                side_output_context.collect(value[0].tag_id, value[1])
            else:
                yield value

    def process_element_func(value: Any) -> Any:
        yield from process_func(process_element(value[1], function_context))

    def on_timer_func(timestamp: int) -> Any:
        yield from process_func(on_timer(timestamp, timer_context))

    return SimpleNamespace(
        _process_element_func=process_element_func, _on_timer_func=on_timer_func, open=lambda: function.open(None)
    )


class PyFlinksOperation:
    """What Java calls."""

    def __init__(self, main_operation: Any) -> None:
        self._operations = [main_operation]
        self._main_operation = main_operation
        self._output_data_converter = Outwards("out")

    def open(self) -> None:
        self._main_operation.open()

    def process_element(self, value: Any) -> Any:
        raise NotImplementedError("the long way")

    def on_timer(self, timestamp: int) -> Any:
        raise NotImplementedError("the long way")


@pytest.fixture
def java(monkeypatch: pytest.MonkeyPatch) -> None:
    iterators = SimpleNamespace(emptyIterator=lambda: NOTHING)
    monkeypatch.setitem(sys.modules, "pemja", SimpleNamespace(findClass=lambda name: iterators))


def opened() -> tuple[PyFlinksOperation, list[tuple[str, str]]]:
    collected: list[tuple[str, str]] = []
    side = SimpleNamespace(
        _j_side_output_context=SimpleNamespace(collectSideOutputById=lambda *record: collected.append(record)),
        _side_output_converters={"side": Outwards("aside")},
    )
    operation = PyFlinksOperation(pyflinks_main_operation(Echo(), side))
    operation.open()
    return operation, collected


@pytest.mark.usefixtures("java")
class TestInsideJava:
    """Where PyFlink is as expected."""

    def test_every_output_is_converted_and_reaches_its_place(self) -> None:
        """Main output as a generator, which pemja takes for an iterator; side output at once; the key is the row's."""
        operation, collected = opened()
        main = operation.process_element((0, ("k", b"msm")))
        assert isinstance(main, GeneratorType)
        assert list(main) == ["out:k-main", "out:k-main"]
        assert collected == [("side", "aside:k-side")]

    def test_without_main_output_java_gets_its_own_empty_iterator(self) -> None:
        """Whether there was side output or none at all."""
        operation, collected = opened()
        assert operation.process_element((0, ("k", b""))) is NOTHING
        assert operation.process_element((0, ("k", b"s"))) is NOTHING
        assert collected == [("side", "aside:k-side")]

    def test_timers_ask_java_for_the_key(self) -> None:
        """No record comes with them."""
        operation, collected = opened()
        assert list(operation.on_timer(1)) == ["out:asked-main"]
        assert collected == [("side", "aside:asked-side")]


class TestElsewhere:
    """In process mode, or in a PyFlink that is not as expected."""

    def test_nothing_changes(self) -> None:
        """pemja does not load outside Java, so the long way stays."""
        operation, _ = opened()
        with pytest.raises(NotImplementedError, match="the long way"):
            operation.process_element((0, ("k", b"m")))

    def test_nothing_changes_for_chained_operations(self, java: None) -> None:
        """Then what one says is for the next, not for Java."""
        main = pyflinks_main_operation(Echo(), None)
        operation = PyFlinksOperation(main)
        operation._operations.append(main)
        operation.open()
        assert "process_element" not in vars(operation)
