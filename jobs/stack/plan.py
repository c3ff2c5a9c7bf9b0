"""What a stack consists of and where it listens; kept in its folder, so that later commands know."""

import json
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any, Self

from jobs.stack.errors import StackError

_FILE = "stack.json"
_CONTROLLERS = 10
"""Controller N of Kafka listens so far above broker N."""
MOST_BROKERS, MOST_TASK_MANAGERS = 3, 9


@dataclass(frozen=True, slots=True)
class StackPlan:
    """How many servers, on which loopback ports.

    Kafka: `kafka_port` and those that follow for brokers, 10 higher for their controllers. Flink: `flink_port` for
    REST, the next one for the JobManager's RPC. With `metrics_port`: that one for the JobManager's metrics, the next
    ones for the TaskManagers'.
    """

    brokers: int = 1
    task_managers: int = 1
    kafka_port: int = 9092
    flink_port: int = 8081
    redis_port: int = 6379
    metrics_port: int = 0
    """0: no Prometheus reporter."""

    def __post_init__(self) -> None:
        """Check that the ports differ.

        Raises:
            StackError: two servers would have the same port.
        """
        seen: dict[int, str] = {}
        for port, option in self._ports():
            if not 0 < port < 1 << 16:
                raise StackError(f"port {port} does not exist: choose a lower {option}")
            if port in seen:
                raise StackError(f"{option} and {seen[port]} both need port {port}: choose others")
            seen[port] = option

    def broker_port(self, number: int) -> int:
        """Where clients reach broker 1, 2 or 3."""
        return self.kafka_port + number - 1

    def controller_port(self, number: int) -> int:
        """Where the other brokers reach the controller of that broker."""
        return self.broker_port(number) + _CONTROLLERS

    @property
    def rpc_port(self) -> int:
        """Of the JobManager."""
        return self.flink_port + 1

    def task_metrics_port(self, number: int) -> int:
        """Of a TaskManager; 0 without metrics."""
        return self.metrics_port and self.metrics_port + number

    @property
    def bootstrap(self) -> str:
        """The brokers, as Kafka's clients want them."""
        return ",".join(f"127.0.0.1:{self.broker_port(number)}" for number in range(1, self.brokers + 1))

    @property
    def rest(self) -> str:
        """Address of Flink's REST interface and web page."""
        return f"http://127.0.0.1:{self.flink_port}"

    @property
    def redis_url(self) -> str:
        """Address of Redis."""
        return f"redis://127.0.0.1:{self.redis_port}"

    def changed(self, **wishes: int | None) -> Self:
        """The same with other values; None: as it is."""
        return replace(self, **{name: value for name, value in wishes.items() if value is not None})

    def differences(self, other: "StackPlan") -> list[str]:
        """Names of the fields in which the two differ."""
        return [one.name for one in fields(self) if getattr(self, one.name) != getattr(other, one.name)]

    def save(self, folder: Path) -> None:
        """Keep it in the stack's folder."""
        partial = folder / f"{_FILE}.part"
        partial.write_text(json.dumps(asdict(self), indent=2) + "\n", encoding="utf-8")
        partial.replace(folder / _FILE)

    def _ports(self) -> list[tuple[int, str]]:
        brokers = range(1, self.brokers + 1)
        ports = [(self.broker_port(number), "--kafka-port") for number in brokers]
        ports += [(self.controller_port(number), "--kafka-port (+10: controller)") for number in brokers]
        ports += [(self.flink_port, "--flink-port"), (self.rpc_port, "--flink-port (+1: RPC)")]
        ports += [(self.redis_port, "--redis-port")]
        if self.metrics_port:
            ports += [(self.metrics_port + number, "--metrics-port") for number in range(self.task_managers + 1)]
        return ports


def saved_plan(folder: Path) -> StackPlan | None:
    """The plan of the stack in a folder; None if there is none.

    Raises:
        StackError: the file cannot be understood.
    """
    path = folder / _FILE
    try:
        values: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return StackPlan(**values)
    except FileNotFoundError:
        return None
    except (ValueError, TypeError) as error:
        raise StackError(f"{path} is damaged ({error}): delete it, or choose another --dir") from error


def forget_plan(folder: Path) -> None:
    """Remove it from the folder."""
    (folder / _FILE).unlink(missing_ok=True)
