"""All servers of one folder: started, looked at, disturbed, stopped."""

import fcntl
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from secrets import token_hex

from jobs.runtime.java import Java, find_java
from jobs.stack import processes
from jobs.stack.errors import StackError
from jobs.stack.flink import (
    flink_environment,
    job_manager_service,
    task_manager_service,
)
from jobs.stack.kafka import broker_name, broker_service, seen_brokers
from jobs.stack.layout import Layout
from jobs.stack.plan import StackPlan, forget_plan, saved_plan
from jobs.stack.processes import Process
from jobs.stack.redis import redis_service
from jobs.stack.service import Service, last_lines

_START_PATIENCE_S = 180.0
_STOP_PATIENCE_S = 20.0
_PAUSE_S = 0.1
_STOPPING_ORDER = (("jobmanager", "taskmanager"), ("broker",), ("redis",))
"""Beginnings of names: none shall miss another that still works."""

Said = Callable[[str], None]
"""Takes a line about what is going on."""


@dataclass(frozen=True, slots=True)
class ServiceStatus:
    """One server, looked at from outside."""

    name: str
    state: str
    """`running`, `paused` (by SIGSTOP), `dead` (ended by itself or by force) or `stopped`."""
    answering: bool
    pid: int | None
    ports: tuple[int, ...]
    memory_bytes: int
    log: Path


class Stack:
    """The servers of a folder. With `owned` (for tests) they die with this process, and only its
    main thread may start them.

    Names of servers: `redis`, `broker-1`, `jobmanager`, `taskmanager-1` and so on.
    """

    def __init__(self, folder: Path, *, owned: bool = False) -> None:
        """Nothing is touched yet."""
        self.layout = Layout(folder.resolve())
        self._owned = owned
        self._java: Java | None = None

    @property
    def plan(self) -> StackPlan:
        """What the stack consists of.

        Raises:
            StackError: there is no stack in this folder.
        """
        plan = saved_plan(self.layout.folder)
        if plan is None:
            raise StackError(f"there is no stack in {self.layout.folder}: `segmill stack up` makes one")
        return plan

    @property
    def java(self) -> Java:
        """The Java of Kafka and Flink."""
        self._java = self._java or find_java()
        return self._java

    def flink_environment(self) -> dict[str, str]:
        """Environment for Flink's own scripts, such as `flink run`, against this cluster."""
        return flink_environment(self.layout, self.java, "flink-client")

    # -- all of them ---------------------------------------------------------------------------------------------------

    def up(self, plan: StackPlan, say: Said = lambda text: None) -> None:
        """Start what does not run, and wait until all of it answers. If that fails, what was started is stopped again.

        Raises:
            StackError: a server cannot be started, or runs with other settings.
        """
        self.layout.make()
        with self._alone():
            self._check_change(plan)
            services = self._services(plan)
            self._stop([name for name in self._known() if name not in services], say)
            missing = self._missing(services, say)
            for one in missing:
                one.check_ports()
            before = saved_plan(self.layout.folder)
            plan.save(self.layout.folder)
            try:
                self._start(missing, say)
                self._wait(list(services.values()), say)
            except BaseException:
                say("stopping what was started")
                self._stop([one.name for one in missing], lambda text: None)
                if before is None:
                    forget_plan(self.layout.folder)
                else:
                    before.save(self.layout.folder)
                raise

    def status(self) -> list[ServiceStatus]:
        """Each server of the plan, and how it is."""
        plan = self.plan
        return [self._status(one) for one in self._services(plan).values()]

    def down(self, *, wipe: bool = False, say: Said = lambda text: None) -> list[str]:
        """Stop everything; returns the names of what was running. With `wipe`, data, checkpoints and logs go, too."""
        if not self.layout.folder.is_dir():
            return []
        with self._alone():
            stopped = self._stop(self._known(), say)
            if wipe:
                self.layout.wipe()
                forget_plan(self.layout.folder)
        if wipe:
            self._remove_folder()
        return stopped

    # -- one of them ---------------------------------------------------------------------------------------------------

    def start(self, name: str) -> None:
        """Start one server that does not run, and wait until it answers."""
        service = self._service(name)
        if not self._alive(name):
            service.check_ports()
            self._start([service], lambda text: None)
        self._wait([service], lambda text: None)

    def stop(self, name: str) -> None:
        """Stop one server, giving it time to do so in order."""
        self._stop([self._service(name).name], lambda text: None)

    def kill(self, name: str) -> None:
        """End one server at once (SIGKILL), as a fault would; returns when it is gone."""
        process = self.process(name)
        process.signal(signal.SIGKILL)
        process.gone_within(_STOP_PATIENCE_S)

    def pause(self, name: str) -> None:
        """Let one server stand still (SIGSTOP): it neither works nor closes its connections."""
        process = self.process(name)
        process.signal(signal.SIGSTOP)
        while process.alive and not process.paused:
            time.sleep(_PAUSE_S)

    def resume(self, name: str) -> None:
        """Let a paused server go on."""
        self.process(name).signal(signal.SIGCONT)

    def process(self, name: str) -> Process:
        """The process of a server.

        Raises:
            StackError: it does not run.
        """
        process = processes.saved(self.layout.pid_file(name))
        if process is None or not process.alive:
            raise StackError(f"{name} does not run")
        return process

    # -- inside --------------------------------------------------------------------------------------------------------

    def _services(self, plan: StackPlan) -> dict[str, Service]:
        layout, java = self.layout, self.java
        services = [redis_service(plan, layout)]
        services += [broker_service(plan, layout, java, number) for number in range(1, plan.brokers + 1)]
        services += [job_manager_service(plan, layout, java)]
        services += [task_manager_service(plan, layout, java, number) for number in range(1, plan.task_managers + 1)]
        return {one.name: one for one in services}

    def _service(self, name: str) -> Service:
        services = self._services(self.plan)
        if name not in services:
            raise StackError(f"there is no {name} in this stack; there are {', '.join(services)}")
        return services[name]

    def _known(self) -> list[str]:
        """Names that have a pid file."""
        return sorted(path.stem for path in self.layout.run.glob("*.pid"))

    def _alive(self, name: str) -> bool:
        process = processes.saved(self.layout.pid_file(name))
        return process is not None and process.alive

    def _check_change(self, plan: StackPlan) -> None:
        before = saved_plan(self.layout.folder)
        if before is None:
            return
        if plan.brokers != before.brokers:
            raise StackError(
                f"this stack has {before.brokers} broker{'s' if before.brokers > 1 else ''}, whose data is kept: "
                "`segmill stack down --wipe` first (which deletes it), or choose another --dir"
            )
        changed = [f"--{name.replace('_', '-')}" for name in plan.differences(before) if name != "task_managers"]
        if changed and any(map(self._alive, self._known())):
            raise StackError(f"the stack runs with other values of {', '.join(changed)}: `segmill stack down` first")

    def _missing(self, services: dict[str, Service], say: Said) -> list[Service]:
        """Those that do not run; what is paused may go on."""
        running = [name for name in services if self._alive(name)]
        for name in running:
            self.resume(name)
        if running:
            say(f"running already: {', '.join(running)}")
        return [one for name, one in services.items() if name not in running]

    def _start(self, services: Sequence[Service], say: Said) -> None:
        for one in sorted(services, key=lambda service: service.name.startswith("broker")):  # Flink takes longest
            say(f"starting {one.name}")
            one.prepare()
            self._end_remains(one.name)
            output, instance = self.layout.output(one.name), f"{one.name}-{token_hex(4)}"
            process = processes.start(
                one.command(instance), output, one.env, self.layout.folder, instance, owned=self._owned
            )
            processes.save(process, self.layout.pid_file(one.name))

    def _wait(self, services: Sequence[Service], say: Said) -> None:
        deadline = time.monotonic() + _START_PATIENCE_S
        for one in services:
            say(f"waiting for {one.name}")
            self._until(one, deadline)
        numbers = {number for number in range(1, 4) if broker_name(number) in {one.name for one in services}}
        for number in numbers:  # each sees all the others
            while not numbers <= seen_brokers(self.plan.broker_port(number)):
                if time.monotonic() > deadline:
                    raise StackError(f"broker {number} does not see all of the others: see {self.layout.logs}")
                time.sleep(_PAUSE_S)

    def _until(self, service: Service, deadline: float) -> None:
        logs = [self.layout.log(service.name), self.layout.output(service.name)]
        process = processes.saved(self.layout.pid_file(service.name))
        while process is None or not service.answers(process):
            if process is None or not process.alive:
                raise StackError(f"{service.name} ended while starting. Its last words:\n{last_lines(logs)}")
            if time.monotonic() > deadline:
                raise StackError(
                    f"{service.name} does not answer after {_START_PATIENCE_S:.0f} s. "
                    f"Its last words:\n{last_lines(logs)}"
                )
            time.sleep(_PAUSE_S)

    def _stop(self, names: Sequence[str], say: Said) -> list[str]:
        """Flink first, then Kafka, then Redis; returns what was running."""
        running = {name: self.process(name) for name in names if self._alive(name)}
        for beginnings in _STOPPING_ORDER:
            members = [name for name in running if name.startswith(beginnings)]
            if members:
                say(f"stopping {', '.join(members)}")
                processes.stop([running[name] for name in members], _STOP_PATIENCE_S)
        for name in names:
            self._end_remains(name)
            self.layout.pid_file(name).unlink(missing_ok=True)
        return list(running)

    def _end_remains(self, name: str) -> None:
        """A server that died by force may have left processes that it had started."""
        process = processes.saved(self.layout.pid_file(name))
        if process is not None and not process.alive:
            process.signal(signal.SIGKILL)

    def _status(self, service: Service) -> ServiceStatus:
        process = processes.saved(self.layout.pid_file(service.name))
        ports, log = tuple(service.ports), self.layout.log(service.name)
        if process is None:
            return ServiceStatus(service.name, "stopped", False, None, ports, 0, log)
        if not process.alive:
            return ServiceStatus(service.name, "dead", False, None, ports, 0, log)
        state = "paused" if process.paused else "running"
        answering = state == "running" and service.answers(process)
        return ServiceStatus(service.name, state, answering, process.pid, ports, process.memory_bytes(), log)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Only one command changes a stack at a time."""
        with (self.layout.folder / "lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise StackError(
                    f"another command is changing the stack in {self.layout.folder}: wait for it"
                ) from None
            yield

    def _remove_folder(self) -> None:
        (self.layout.folder / "lock").unlink(missing_ok=True)
        try:
            self.layout.folder.rmdir()
        except OSError:  # something of somebody else's lies there
            return
