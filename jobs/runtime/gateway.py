"""The Java process in which an embedded job runs, started early: it warms up while the launcher still reads logs."""

import logging
import os
import re
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from py4j.protocol import Py4JError

from jobs.runtime.children import start_child, stop_child
from jobs.runtime.errors import RuntimeProblem
from jobs.runtime.java import Java, find_java

_START_PATIENCE_S = 60.0
_PAUSE_S = 0.02
_ENDS_WITHIN_S = 1.0
_LONGEST_COMPLAINT = 500
_OPTIONS = (
    "-XX:+IgnoreUnrecognizedVMOptions",
    "--add-opens=jdk.proxy2/jdk.proxy2=ALL-UNNAMED",
    "-XX:+UseParallelGC",
    "-Xmn96m",  # a young generation that is used again and again, not one that grows with the memory there is
    "-XX:TieredStopAtLevel=1",  # half the CPU of a start, and no slower after: the time goes into Python
    "-Xshare:auto",
    "-Duser.timezone=UTC",
    "-Dfile.encoding=UTF-8",
    "-Djava.awt.headless=true",
)
_LOG_SETTINGS = """\
rootLogger.level = WARN
rootLogger.appenderRef.file.ref = File
appender.file.name = File
appender.file.type = File
appender.file.fileName = {path}
appender.file.layout.type = PatternLayout
appender.file.layout.pattern = %d{{ISO8601}} %-5p %-40c{{1}} %m%n
"""
_COMPLAINT = re.compile(r"\d{4}-\d\d-\d\dT\S+ (?:WARN|ERROR|FATAL)\s+")


class Gateway:
    """A Java process for one `with` block, and PyFlink's connection to it. One for each process:
    PyFlink keeps objects of the first Java."""

    def __init__(self, folder: Path, java: Java | None = None, jars: Sequence[Path] = ()) -> None:
        """Nothing is started yet. Logs go to `folder`; `jars` are what Java has to know beside Flink."""
        self._folder = folder.resolve()
        self._jars = jars
        self.java = java or find_java()
        self.log, self.output = self._folder / "flink.log", self._folder / "flink.out"
        self.classes = self._folder / "classes"
        """Java finds what lies here before Flink's own classes."""

    @property
    def pid(self) -> int:
        """The Java process."""
        return self._process.pid

    def __enter__(self) -> Self:
        """Start Java; does not wait for it."""
        tmp = self._folder / "tmp"
        for folder in (tmp, self.classes):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._port_file = self._folder / "gateway.port"
        settings = self._folder / "log4j.properties"
        settings.write_text(_LOG_SETTINGS.format(path=self.log), encoding="utf-8")
        env = {**os.environ, **_environment(self.java), "_PYFLINK_CONN_INFO_PATH": str(self._port_file)}
        own = (f"-Djava.io.tmpdir={tmp}", f"-Dlog4j.configurationFile={settings}")
        self._process = start_child(self._command(env, own), self.output, env, cwd=self._folder)
        return self

    def connect(self) -> None:
        """Wait for Java and make it the one that PyFlink talks to.

        Raises:
            RuntimeProblem: Java did not start.
        """
        deadline = time.monotonic() + _START_PATIENCE_S
        while not self._port_file.exists():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeProblem(f"Java ({self.java.executable}) did not start: {self._last_words()}")
            time.sleep(_PAUSE_S)
        # whatever goes wrong is raised; py4j also logs it, with a trace for each object that it can no longer free
        logging.getLogger("py4j").addHandler(logging.NullHandler())
        logging.getLogger("py4j").propagate = False
        logging.getLogger().addFilter(_not_of_py4j)  # some of its code logs to the root
        # else PyFlink opens a server of its own in this process, on all interfaces, that starts workers for anybody
        os.environ["_python_worker_execution_mode"] = "process"  # noqa: SIM112  (PyFlink's own name)
        os.environ["PYFLINK_GATEWAY_PORT"] = str(struct.unpack("!I", self._port_file.read_bytes()[:4])[0])
        from pyflink.java_gateway import get_gateway

        # This Java ends with what it was started for: no object of it need be freed one by one. py4j does that in
        # finalizers, where a Ctrl-C would be swallowed, and the connection be out of step afterwards.
        get_gateway().gateway_property.enable_memory_management = False

    @contextmanager
    def limited(self, limit_s: float, problem: str) -> Iterator[None]:
        """Let the block take so long at most; then Java is killed, whatever it waits for.

        Raises:
            RuntimeProblem: it took longer: `problem`, and what Flink complained of last.
        """
        over = threading.Event()

        def end() -> None:
            over.set()
            self._process.kill()

        timer = threading.Timer(limit_s, end)
        timer.start()
        try:
            yield
        except (OSError, Py4JError):  # so it is for who waits for an answer of a Java that is killed
            if not over.is_set():
                raise
            raise RuntimeProblem(f"{problem}{self._last_complaint()}") from None
        finally:
            timer.cancel()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop Java and all that it started.

        Raises:
            RuntimeProblem: in place of errors of a connection whose other end, Java, is gone.
        """
        lost = isinstance(error, OSError | Py4JError) and _ends(self._process)
        stop_child(self._process, patience_s=3.0)
        for name in ("PYFLINK_GATEWAY_PORT", "_python_worker_execution_mode"):
            os.environ.pop(name, None)
        self._forget()

        if lost:
            raise RuntimeProblem(
                f"Java ended in the middle of the run (killed, or out of memory?): {self._last_words()}"
            ) from None

    def _command(self, env: Mapping[str, str], own: tuple[str, ...]) -> list[str | Path]:
        classpath, options = _of_flink(env)
        return [
            self.java.executable,
            *_OPTIONS,
            *options,
            *own,
            "-cp",
            os.pathsep.join(map(str, (self.classes, classpath, *self._jars))),
            "org.apache.flink.client.python.PythonGatewayServer",
        ]

    def _forget(self) -> None:
        """Let PyFlink connect anew next time."""
        module: Any = sys.modules.get("pyflink.java_gateway")
        if module is not None and module._gateway is not None:
            module._gateway.shutdown_callback_server(raise_exception=False)
            module._gateway.close()
            module._gateway = None

    def _last_complaint(self) -> str:
        """The newest warning of Flink's log, without its trace, in brackets; empty if there is none."""
        lines = _lines(self.log)
        newest = max((number for number, line in enumerate(lines) if _COMPLAINT.match(line)), default=None)
        if newest is None:
            return ""
        told = " ".join(line.strip() for line in lines[newest : newest + 2])  # of a trace, the first line says why
        return f" (Flink: {_COMPLAINT.sub('', told)[:_LONGEST_COMPLAINT]})"

    def _last_words(self) -> str:
        return " / ".join(line.strip() for line in _lines(self.output)[-5:] if line.strip()) or "it said nothing"


def _lines(path: Path) -> list[str]:
    """Of a file of Java's; none if it has not written it."""
    try:
        return path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []


def _not_of_py4j(record: logging.LogRecord) -> bool:
    return f"{os.sep}py4j{os.sep}" not in record.pathname


def _ends(process: "subprocess.Popen[bytes]") -> bool:
    """Whether a process has ended, or does so just now."""
    try:
        process.wait(_ENDS_WITHIN_S)
    except subprocess.TimeoutExpired:
        return False
    return True


def _environment(java: Java) -> dict[str, str]:
    """What makes the Python inside Java find what this one finds: the same program, the same path."""
    path = [str(Path(sys.executable).parent), os.environ.get("PATH", "")]
    return {
        "JAVA_HOME": str(java.home),
        "PATH": os.pathsep.join(filter(None, path)),
        "PYTHONPATH": os.pathsep.join(dict.fromkeys(os.path.abspath(entry or ".") for entry in sys.path)),
        "PYTHONDONTWRITEBYTECODE": "1",
    }


def _of_flink(env: Mapping[str, str]) -> tuple[str, list[str]]:
    """Flink's class path, and the options that it has for Java."""
    from pyflink.pyflink_gateway_server import construct_flink_classpath, get_jvm_opts, prepare_environment_variables

    flink_env = dict(env)
    prepare_environment_variables(flink_env)
    return construct_flink_classpath(flink_env), list(get_jvm_opts(flink_env))
