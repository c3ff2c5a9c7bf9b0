"""`segmill stack`: a Kafka, a Flink cluster and a Redis on this machine."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from jobs.commands.console import grid, plain, say, show, show_table, words
from jobs.flink_path import flink_path
from jobs.runtime.workspace import sigterm_raises
from jobs.stack.plan import MOST_BROKERS, MOST_TASK_MANAGERS, StackPlan, saved_plan
from jobs.stack.stack import Said, ServiceStatus, Stack

_NOT_ALL_WELL = 3
_PORT = click.IntRange(1024, 65_000)

_dir_option = click.option(
    "--dir",
    "folder",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path(".segmill/stack"),
    show_default=True,
    envvar="SEGMILL_STACK_DIR",
    help="Folder of the stack: data, logs, checkpoints.",
)


@click.group("stack")
def stack_group() -> None:
    """Start, look at and stop a Kafka, a Flink cluster and a Redis on this machine (docs/stack.md)."""


@stack_group.command("up")
@click.option("--brokers", type=click.Choice(["1", "3"]), help="Kafka brokers. Default: 1.")
@click.option("--task-managers", type=click.IntRange(1, MOST_TASK_MANAGERS), help="Each has one slot. Default: 1.")
@click.option("--kafka-port", type=_PORT, help=f"Of the first of up to {MOST_BROKERS} brokers. Default: 9092.")
@click.option("--flink-port", type=_PORT, help="Flink's web page and REST interface. Default: 8081.")
@click.option("--redis-port", type=_PORT, help="Default: 6379.")
@click.option(
    "--metrics-port",
    type=_PORT,
    help="Metrics for Prometheus: the JobManager's there, the TaskManagers' on the next ports. Flink offers them on "
    "ALL network interfaces, so there are none by default.",
)
@_dir_option
@click.option("--json", "as_json", is_flag=True, help="Print the status as JSON when all is up.")
def up_command(folder: Path, as_json: bool, brokers: str | None, **ports: int | None) -> None:
    """Start what does not run yet, and wait until all of it answers. Everything listens on loopback only.

    The servers stay when the command ends. Options that are not given are as in the last `up`. Run it again to
    replace a server that died, or to have more TaskManagers.

    \b
      segmill stack up                                   one of each
      segmill stack up --task-managers 2 --brokers 3     for trying what happens when one of them dies
      segmill stack down                                 stops all; data is kept
    """
    stack = Stack(folder)
    plan = (saved_plan(stack.layout.folder) or StackPlan()).changed(brokers=int(brokers) if brokers else None, **ports)
    with sigterm_raises(), _working() as tell:
        stack.up(plan, tell)
    _tell(stack, as_json)


@stack_group.command("status")
@_dir_option
@click.option("--json", "as_json", is_flag=True, help="Print it as JSON.")
def status_command(folder: Path, as_json: bool) -> None:
    """Which servers run and answer, where, and how much memory they take. Exits with 3 if not all of them answer."""
    if not _tell(Stack(folder), as_json):
        raise click.exceptions.Exit(_NOT_ALL_WELL)


@stack_group.command("down")
@click.option("--wipe", is_flag=True, help="Delete topics, Redis' data, checkpoints and logs, too.")
@_dir_option
def down_command(folder: Path, wipe: bool) -> None:
    """Stop all servers: asked first, then forced. Data is kept for the next `up`, but with --wipe."""
    with _working() as tell:
        stopped = Stack(folder).down(wipe=wipe, say=tell)
    say(f"stopped {', '.join(stopped)}" if stopped else "nothing was running")


@contextmanager
def _working() -> Iterator[Said]:
    """A spinner on a terminal; else a line for each step."""
    if not words().is_terminal:
        yield say
        return
    with words().status("") as spinner:
        yield lambda text: spinner.update(plain(text))


def _tell(stack: Stack, as_json: bool) -> bool:
    """Print how the stack is; whether all of it answers."""
    plan, servers = stack.plan, stack.status()
    if as_json:
        click.echo(json.dumps(_as_dict(stack, plan, servers), indent=2))
    else:
        _show(stack, plan, servers)
    return all(one.answering for one in servers)


def _show(stack: Stack, plan: StackPlan, servers: list[ServiceStatus]) -> None:
    table = grid("server", "state", "pid", "MB", "ports", right=("pid", "MB"))
    for one in servers:
        state = "running" if one.answering else "not answering" if one.state == "running" else one.state
        colour = "green" if one.answering else "red"
        ports = " ".join(map(str, one.ports))
        table.add_row(one.name, f"[{colour}]{state}[/]", str(one.pid or "-"), f"{one.memory_bytes >> 20:,}", ports)
    show_table(table)
    show(f"\nKafka  {plan.bootstrap}\nFlink  {plan.rest}\nRedis  {plan.redis_url}")
    show(f"[dim]logs: {plain(stack.layout.logs)}/   stop: segmill stack down[/]")


def _as_dict(stack: Stack, plan: StackPlan, servers: list[ServiceStatus]) -> dict[str, Any]:
    layout = stack.layout
    return {
        "folder": str(layout.folder),
        "answering": all(one.answering for one in servers),
        "kafka": {"bootstrap": plan.bootstrap},
        "flink": {
            "rest": plan.rest,
            "conf_dir": str(layout.flink_conf),
            "lib_dir": str(layout.flink_lib),
            "checkpoints": flink_path(layout.checkpoints),
            "savepoints": flink_path(layout.savepoints),
        },
        "redis": {"url": plan.redis_url},
        "servers": [
            {
                "name": one.name,
                "state": one.state,
                "answering": one.answering,
                "pid": one.pid,
                "ports": list(one.ports),
                "memory_bytes": one.memory_bytes,
                "log": str(one.log),
            }
            for one in servers
        ],
    }
