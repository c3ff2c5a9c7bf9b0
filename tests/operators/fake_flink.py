"""A stand-in for Flink's keyed runtime: state by key, timers, in plain Python."""

from collections import defaultdict
from typing import Any

from pyflink.datastream import TimeDomain

END_MS = 2**63 - 1


class FakeState:
    """Value, list or map state of the current key."""

    def __init__(self, runtime: "FakeRuntime", kind: type) -> None:
        self._runtime, self._kind = runtime, kind
        self.by_key: dict[str, Any] = {}

    def value(self) -> Any:
        return self.by_key.get(self._runtime.key)

    def update(self, value: Any) -> None:
        self.by_key[self._runtime.key] = value

    def clear(self) -> None:
        self.by_key.pop(self._runtime.key, None)

    def add(self, value: Any) -> None:
        self.by_key.setdefault(self._runtime.key, []).append(value)

    def put(self, name: Any, value: Any) -> None:
        self.by_key.setdefault(self._runtime.key, {})[name] = value

    def remove(self, name: Any) -> None:
        self.by_key.get(self._runtime.key, {}).pop(name, None)

    def get(self, name: Any = None) -> Any:
        held = self.by_key.get(self._runtime.key)
        if self._kind is dict:
            return None if held is None else held.get(name)
        return iter(held or ())


class FakeRuntime:
    """One operator with its context: at once the runtime context, the function context and the timer service."""

    def __init__(self, operator: Any) -> None:
        self.key, self.watermark_ms, self.clock_ms = "", -(2**63), 1_000
        self.states: dict[str, FakeState] = {}
        self.broadcast = FakeState(self, dict)
        self.event_timers: dict[int, set[str]] = defaultdict(set)
        self.clock_timers: dict[int, set[str]] = defaultdict(set)
        self.outputs: list[Any] = []
        self.domain = TimeDomain.EVENT_TIME
        self.operator = operator
        operator.open(self)

    def get_index_of_this_subtask(self) -> int:
        return 0

    def get_number_of_parallel_subtasks(self) -> int:
        return 1

    def get_state(self, descriptor: Any) -> FakeState:
        return self.states.setdefault(descriptor.name, FakeState(self, bytes))

    def get_list_state(self, descriptor: Any) -> FakeState:
        return self.states.setdefault(descriptor.name, FakeState(self, list))

    def get_map_state(self, descriptor: Any) -> FakeState:
        return self.states.setdefault(descriptor.name, FakeState(self, dict))

    def get_broadcast_state(self, descriptor: Any) -> Any:
        runtime = self

        class View:
            def get(self, name: str) -> Any:
                return runtime.broadcast.by_key.get(name)

            def put(self, name: str, value: Any) -> None:
                runtime.broadcast.by_key[name] = value

            def remove(self, name: str) -> None:
                runtime.broadcast.by_key.pop(name, None)

        return View()

    def timer_service(self) -> "FakeRuntime":
        return self

    def get_current_key(self) -> str:
        return self.key

    def time_domain(self) -> TimeDomain:
        """Of the timer that fires."""
        return self.domain

    def timestamp(self) -> int | None:
        return None

    def current_watermark(self) -> int:
        return self.watermark_ms

    def current_processing_time(self) -> int:
        return self.clock_ms

    def register_event_time_timer(self, at_ms: int) -> None:
        self.event_timers[at_ms].add(self.key)

    def register_processing_time_timer(self, at_ms: int) -> None:
        self.clock_timers[at_ms].add(self.key)

    def element(self, key: str, payload: bytes) -> None:
        self.key = key
        self.outputs += self.operator.process_element(payload, self)

    def broadcast_element(self, key: str, payload: bytes) -> None:
        self.outputs += self.operator.process_broadcast_element((key, payload), self)

    def advance(self, watermark_ms: int) -> None:
        self.watermark_ms = watermark_ms
        self.domain = TimeDomain.EVENT_TIME
        self._fire(self.event_timers, watermark_ms)

    def wait(self, ms: int) -> None:
        self.clock_ms += ms
        self.domain = TimeDomain.PROCESSING_TIME
        self._fire(self.clock_timers, self.clock_ms)

    def end(self) -> None:
        self.advance(END_MS)

    def _fire(self, timers: dict[int, set[str]], until_ms: int) -> None:
        while due := [at_ms for at_ms in timers if at_ms <= until_ms]:
            at_ms = min(due)
            for key in sorted(timers.pop(at_ms)):
                self.key = key
                self.outputs += self.operator.on_timer(at_ms, self)


class FakeWalk:
    """A `KeyWalk` through a state of the runtime."""

    def __init__(self, runtime: FakeRuntime, state_name: str, *, most: int | None = None) -> None:
        self._runtime, self._keys = runtime, sorted(runtime.states[state_name].by_key)[:most]

    @property
    def goes_on(self) -> bool:
        return bool(self._keys)

    def step(self) -> str:
        self._runtime.key = self._keys.pop(0)
        return self._runtime.key

    def register(self, time_ms: int) -> None:
        self._runtime.register_event_time_timer(time_ms)

    @property
    def place(self) -> str:
        return self._runtime.key

    def return_to(self, place: str) -> None:
        self._runtime.key = place
