"""config.yaml, and the same settings for Kubernetes: known to the installed Flink, and the same in both."""

import re
import subprocess
import zipfile

import pytest
from files import CONF, ROOT, properties, read
from flink_options import flink_home, known_options, unknown

from jobs.graph import MAX_PARALLELISM
from jobs.kafka_client import KafkaTarget
from jobs.live.configuration import configuration
from jobs.live.settings import LiveSpec
from jobs.runtime.java import find_java
from operators.redis_connection import RedisTarget
from schemas.settings import Settings

OF_THE_PLACE = {
    "execution.checkpointing.dir",
    "execution.checkpointing.savepoint-dir",
    "metrics.reporter.prom.port",  # a range on one machine, one port in a pod
}
OF_THE_OPERATOR = (
    "jobmanager.",
    "taskmanager.host",
    "taskmanager.bind-host",
    "taskmanager.memory.process",
    "rest.",
    "env.",
)
"""Addresses, sizes of containers and Java options, which the operator and the image bring."""


class TestOptions:
    @pytest.mark.parametrize("name", ["config.yaml", "stack.yaml"])
    def test_flink_knows_them(self, name: str) -> None:
        """Every key is an option of the installed Flink."""
        settings = read(name)
        assert len(settings) > 5
        assert unknown(list(settings)) == []

    def test_flink_knows_those_of_the_deployment(self) -> None:
        """Those of the operator itself aside."""
        settings = read("kubernetes", "flink-deployment.yaml")["spec"]["flinkConfiguration"]
        assert unknown([name for name in settings if not name.startswith("kubernetes.operator.")]) == []

    def test_what_is_misspelt_is_found(self) -> None:
        """The check is one."""
        assert len(known_options()) > 1_000
        wrong = ["heartbeat.timeut", "metrics.reporter.prom.filterLabelValueCharacter", "state.backend.typ"]
        assert unknown([*wrong, "heartbeat.timeout", "metrics.reporter.prom.port"]) == wrong

    def test_flink_divides_the_memory_up(self) -> None:
        """As its start script does: Java gets a heap that leaves Python its gigabyte."""
        home = flink_home()
        command = [
            find_java().executable, "-cp", f"{home}/bin/bash-java-utils.jar:{home}/lib/*",
            "org.apache.flink.runtime.util.bash.BashJavaUtils", "GET_TM_RESOURCE_PARAMS", "--configDir", CONF,
        ]  # fmt: skip
        said = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout
        megabytes = {name: float(size) for name, size in re.findall(r"([A-Z][\w ]+):\s+([\d.]+)mb", said)}
        megabytes |= {name: float(size) * 1024 for name, size in re.findall(r"([A-Z][\w ]+):\s+([\d.]+)gb", said)}
        assert megabytes["Total Process Memory"] == 4096
        assert megabytes["Managed"] == 1024
        assert megabytes["Total JVM Heap Memory"] > 1000
        heap_and_more = sum(
            megabytes[name] for name in ("Total JVM Heap Memory", "Managed", "Network", "JVM Metaspace")
        )
        assert megabytes["Total Process Memory"] - heap_and_more >= 1024 + megabytes["JVM Overhead"]


class TestOneTruth:
    def test_the_deployment_has_the_settings_of_config_yaml(self) -> None:
        """But for what is of the place."""
        plain = {name: str(value).lower() for name, value in read("config.yaml").items()}
        wanted = {name: value for name, value in plain.items() if not name.startswith(OF_THE_OPERATOR)}
        deployed = read("kubernetes", "flink-deployment.yaml")["spec"]["flinkConfiguration"]
        found = {name: str(value).lower() for name, value in deployed.items()}
        for name in OF_THE_PLACE:
            assert name in wanted
            assert name in found
            del wanted[name], found[name]
        assert {name: found.get(name) for name in wanted} == wanted
        assert {name for name in found if name not in wanted} <= {
            name for name in found if name.startswith(("high-availability.", "kubernetes."))
        }

    def test_the_logs_are_the_same(self) -> None:
        """On Kubernetes as elsewhere."""
        logs = read("kubernetes", "flink-deployment.yaml")["spec"]["logConfiguration"]["log4j-console.properties"]
        assert properties(logs) == properties((CONF / "log4j-console.properties").read_text(encoding="utf-8"))

    def test_the_groups_of_keys_are_those_of_the_graph(self) -> None:
        """A state made with another number cannot be restored."""
        assert read("config.yaml")["pipeline.max-parallelism"] == MAX_PARALLELISM

    def test_the_job_asks_for_the_same(self) -> None:
        """What a job sets for itself, wherever it runs, does not contradict these files."""
        spec = LiveSpec(KafkaTarget("127.0.0.1:9092"), RedisTarget("redis://127.0.0.1"), Settings(), "", "")
        asked = configuration(spec)
        here = {name: str(value) for name, value in read("config.yaml").items()}
        assert len(asked.keys() & here.keys()) > 6
        differing = {name for name in asked.keys() & here.keys() if normal(asked[name]) != normal(here[name])}
        assert differing == set()

    def test_the_versions_are_the_installed_ones(self) -> None:
        """Image, driver and operator's Flink version follow requirements/run.txt."""
        pinned = next(
            line.split("==")[1].split()[0]
            for line in (ROOT / "requirements" / "run.txt").read_text(encoding="utf-8").splitlines()
            if line.startswith("apache-flink==")
        )
        spec = read("kubernetes", "flink-deployment.yaml")["spec"]
        assert spec["job"]["jarURI"] == f"local:///opt/flink/opt/flink-python-{pinned}.jar"
        assert spec["flinkVersion"] == "v" + "_".join(pinned.split(".")[:2])
        dockerfile = (CONF / "Dockerfile").read_text(encoding="utf-8")
        assert f"FROM flink:{pinned}-" in dockerfile
        assert f"flink-python-{pinned}.jar" in dockerfile


class TestLogs:
    TELLER = "org.apache.flink.client.python.PythonEnvUtils"

    @pytest.mark.parametrize("name", ["log4j-console.properties", "stack-log4j.properties"])
    def test_the_environment_is_not_in_them(self, name: str) -> None:
        """Passwords may be in it. Kubernetes has the first one's settings, see above."""
        settings = properties((CONF / name).read_text(encoding="utf-8"))
        (key,) = [key for key, value in settings.items() if value == self.TELLER]
        assert settings[key.removesuffix(".name") + ".level"] == "WARN"

    def test_who_would_tell_it(self) -> None:
        """It is that class, of the installed Flink."""
        (jar,) = flink_home().glob("opt/flink-python-*.jar")
        with zipfile.ZipFile(jar) as archive:
            code = archive.read(self.TELLER.replace(".", "/") + ".class")
        assert b"Starting Python process with environment variables" in code


def normal(value: str) -> str:
    """5000 ms and 5 s are the same; so are True and true."""
    if re.fullmatch(r"\d+ ms", value) and int(value[:-3]) % 1000 == 0:
        return f"{int(value[:-3]) // 1000} s"
    return value.lower()
