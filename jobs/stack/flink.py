"""The Flink of a stack: a session cluster from the installed PyFlink, one JobManager and TaskManagers of one slot."""

import importlib.util
import json
import os
import shutil
import sys
import urllib.error
import urllib.request
from pathlib import Path
from string import Template
from typing import Any

from jobs.flink_path import flink_path
from jobs.runtime.java import Java
from jobs.stack.errors import StackError
from jobs.stack.layout import TEMPLATES, Layout, jars
from jobs.stack.plan import StackPlan
from jobs.stack.processes import Process
from jobs.stack.service import Service

JOB_MANAGER = "jobmanager"
_ASK_S = 2.0


def task_manager_name(number: int) -> str:
    """`taskmanager-1`."""
    return f"taskmanager-{number}"


def job_manager_service(plan: StackPlan, layout: Layout, java: Java) -> Service:
    """The JobManager."""

    def command(instance: str) -> list[str | Path]:
        script = flink_home() / "bin" / "jobmanager.sh"
        return ["bash", script, "start-foreground", *_dynamic(_reporter(plan.metrics_port))]

    def answers(process: Process) -> bool:
        return ask(plan, "/overview") is not None

    ports = {plan.flink_port: "--flink-port", plan.rpc_port: "--flink-port (+1: RPC)"}
    if plan.metrics_port:
        ports[plan.metrics_port] = "--metrics-port"
    env = flink_environment(layout, java, JOB_MANAGER)
    return Service(JOB_MANAGER, command, answers, env, ports, lambda: write_configuration(plan, layout))


def task_manager_service(plan: StackPlan, layout: Layout, java: Java, number: int) -> Service:
    """A TaskManager. Each start is a new machine in the eyes of the JobManager."""
    name = task_manager_name(number)
    metrics = plan.task_metrics_port(number)

    def command(instance: str) -> list[str | Path]:
        options = {"taskmanager.resource-id": instance, **_reporter(metrics)}
        return ["bash", flink_home() / "bin" / "taskmanager.sh", "start-foreground", *_dynamic(options)]

    def answers(process: Process) -> bool:
        known = ask(plan, "/taskmanagers") or {}
        return process.instance in {one["id"] for one in known.get("taskmanagers", ())}

    ports = {metrics: "--metrics-port"} if metrics else {}
    env = flink_environment(layout, java, name)
    return Service(name, command, answers, env, ports, lambda: write_configuration(plan, layout))


def ask(plan: StackPlan, path: str) -> dict[str, Any] | None:
    """What the REST interface says; None if it does not answer."""
    try:
        with urllib.request.urlopen(plan.rest + path, timeout=_ASK_S) as answer:  # noqa: S310  (http, loopback)
            found: dict[str, Any] = json.load(answer)
            return found
    except (OSError, ValueError, urllib.error.URLError):
        return None


def flink_home() -> Path:
    """Where PyFlink is installed; it is not imported, which would take a second.

    Raises:
        StackError: it is not installed.
    """
    spec = importlib.util.find_spec("pyflink")
    if spec is None or spec.origin is None:
        raise StackError("apache-flink is not installed: run `make run` or `pip install -r requirements/run.txt`")
    return Path(spec.origin).parent


def flink_environment(layout: Layout, java: Java, log_name: str) -> dict[str, str]:
    """Environment in which Flink's scripts (servers, `flink run`, `flink list`) use this cluster's settings and jars.

    PYTHONPATH is taken out: a job must bring the code it needs.
    """
    home = flink_home()
    env = {name: value for name, value in os.environ.items() if not name.startswith("FLINK_")}
    env.pop("PYTHONPATH", None)
    return env | {
        "JAVA_HOME": str(java.home),
        "PATH": os.pathsep.join(filter(None, [str(Path(sys.executable).parent), os.environ.get("PATH", "")])),
        "FLINK_HOME": str(home),
        "FLINK_CONF_DIR": str(layout.flink_conf),
        "FLINK_LIB_DIR": str(layout.flink_lib),
        "FLINK_PLUGINS_DIR": str(home / "plugins"),
        "FLINK_OPT_DIR": str(home / "opt"),
        "FLINK_LOG_DIR": str(layout.logs),
        "FLINK_PID_DIR": str(layout.flink / "run"),
        "SEGMILL_STACK_LOG": str(layout.log(log_name)),
    }


def write_configuration(plan: StackPlan, layout: Layout) -> None:
    """Leave config.yaml, log settings and the links to libraries in the stack's folder.

    Raises:
        StackError: the connector is missing.
    """
    for name in ("run", "tmp", "conf"):
        (layout.flink / name).mkdir(mode=0o700, parents=True, exist_ok=True)
    template = Template((TEMPLATES / "stack.yaml").read_text(encoding="utf-8").replace("${...}", "$${...}"))
    values = {
        "rpc_port": str(plan.rpc_port),
        "rest_port": str(plan.flink_port),
        "python": json.dumps(sys.executable),
        "checkpoints": json.dumps(flink_path(layout.checkpoints)),
        "savepoints": json.dumps(flink_path(layout.savepoints)),
        "tmp": json.dumps(str(layout.flink / "tmp")),
    }
    _replace(layout.flink_conf / "config.yaml", template.substitute(values))
    log_settings = (TEMPLATES / "stack-log4j.properties").read_text(encoding="utf-8")
    for name in ("log4j-console.properties", "log4j-cli.properties"):
        _replace(layout.flink_conf / name, log_settings)
    _link_libraries(layout.flink_lib)


def _link_libraries(folder: Path) -> None:
    """Flink's own jars, its Python support (or a second job fails in thread mode) and the Kafka connector."""
    home = flink_home()
    wanted = {jar.name: jar for jar in (*home.glob("lib/*.jar"), *home.glob("opt/flink-python-*.jar"))}
    wanted |= {jar.name: jar for jar in jars("connectors").glob("*.jar")}
    if {path.name: path.resolve() for path in folder.glob("*")} == {n: jar.resolve() for n, jar in wanted.items()}:
        return
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o700, parents=True)
    for name, jar in wanted.items():
        (folder / name).symlink_to(jar.resolve())


def _reporter(port: int) -> dict[str, str]:
    """Settings of the Prometheus reporter. It has none for an address: it listens on all interfaces."""
    if not port:
        return {}
    factory = "org.apache.flink.metrics.prometheus.PrometheusReporterFactory"
    return {"metrics.reporter.prom.factory.class": factory, "metrics.reporter.prom.port": str(port)}


def _dynamic(options: dict[str, str]) -> list[str]:
    return [part for name, value in options.items() for part in ("-D", f"{name}={value}")]


def _replace(path: Path, text: str) -> None:
    partial = path.with_name(path.name + ".part")
    partial.write_text(text, encoding="utf-8")
    partial.replace(path)
