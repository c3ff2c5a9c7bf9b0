"""Alerts: well-formed, about metrics that a running job has, and all of them explained."""

import os
import re
import shutil
import subprocess
import threading
import urllib.request
from pathlib import Path
from typing import Any

import pytest
import yaml
from files import CONF, ROOT, read
from flink_options import flink_home

from benchmarks.alone import alone
from jobs.factories import logics
from jobs.runtime.flink import JobSpec, run_job
from jobs.runtime.gateway import Gateway
from jobs.runtime.valkey import EmbeddedValkey
from jobs.runtime.workspace import workspace
from jobs.simulation import SimulationSettings, simulate
from jobs.spool import SpoolWriter
from operators.redis_connection import RedisTarget
from schemas.decode import Decoder
from schemas.settings import Settings
from state.rules.ruleset import load_rules

METRIC = re.compile(r"\bflink_\w+")
RECORDED = re.compile(r"\bsegmill:\w+(?::\w+)?")
CASES = Path(__file__).parent / "alerts.test.yaml"
METRICS_TEXT = (ROOT / "docs" / "metrics.md").read_text(encoding="utf-8")
GROUP = "flink_taskmanager_job_task_operator_segmill_"
EVENTS = 20_000
PORTS = range(24_100, 24_200)
WHOLE = (f"{GROUP}outcome_events", f"{GROUP}le_batch_ms_bucket", "flink_taskmanager_job_task_busyTimeMsPerSecond")
"""What a scrape has while all operators are open: not yet at the start, no longer at the end."""
OF_KAFKA = ["flink_taskmanager_job_task_operator_pendingRecords"]
"""Of a live job only: tests/cluster/test_live_metrics.py has one."""


def rules() -> list[dict[str, Any]]:
    return [rule for group in read("prometheus", "alerts.yaml")["groups"] for rule in group["rules"]]


class TestAlerts:
    def test_each_says_what_to_do(self) -> None:
        """A name, a severity, what is the matter and what to do; figures have a name and an expression only."""
        alerts = [rule for rule in rules() if "alert" in rule]
        assert len(alerts) > 8
        for rule in alerts:
            assert set(rule) - {"for"} == {"alert", "expr", "labels", "annotations"}
            assert rule["labels"]["severity"] in {"page", "ticket"}
            assert set(rule["annotations"]) == {"summary", "action"}
            assert re.fullmatch(r"\d+[smh]", rule.get("for", "0s"))
        assert all(set(rule) == {"record", "expr"} for rule in rules() if "alert" not in rule)

    def test_what_is_recorded_is_what_is_used(self) -> None:
        """No alert asks for a figure that nobody works out."""
        recorded = {rule["record"] for rule in rules() if "record" in rule}
        used = {name for rule in rules() for name in RECORDED.findall(rule["expr"])}
        assert used <= recorded

    def test_every_metric_is_explained(self) -> None:
        """In docs/metrics.md."""
        named = {name for rule in rules() for name in METRIC.findall(rule["expr"])}
        assert sorted(name for name in named if f"`{name}`" not in METRICS_TEXT) == []

    @pytest.mark.parametrize(
        ("command", "file"),
        [("check", CONF / "prometheus" / "alerts.yaml"), ("test", CASES)],
    )
    def test_promtool_finds_nothing(self, command: str, file: Path) -> None:
        """Where there is one: the rules are in order, and alerts fire when they should."""
        promtool = shutil.which("promtool")
        if promtool is None:
            pytest.skip("no promtool on the PATH (Debian: in the package prometheus)")
        subprocess.run([promtool, command, "rules", file], check=True, timeout=60)

    def test_every_alert_has_its_cases(self) -> None:
        """One in which it fires, and one in which it does not; promtool decides whether that is so."""
        cases = [case for test in yaml.safe_load(CASES.read_text())["tests"] for case in test["alert_rule_test"]]
        fires = {case["alertname"] for case in cases if case.get("exp_alerts")}
        silent = {case["alertname"] for case in cases if not case.get("exp_alerts")}
        alerts = {rule["alert"] for rule in rules() if "alert" in rule}
        assert (fires, silent) == (alerts, alerts)

    def test_the_configuration_names_the_rules(self) -> None:
        """And its pods are those of the deployment."""
        configuration = read("prometheus", "prometheus.yaml")
        assert all((CONF / "prometheus" / name).is_file() for name in configuration["rule_files"])
        pods = next(one for one in configuration["scrape_configs"] if "kubernetes_sd_configs" in one)
        labels = read("kubernetes", "flink-deployment.yaml")["spec"]["podTemplate"]["metadata"]["labels"]
        assert pods["relabel_configs"][0]["regex"] == labels["app"]


def reporter() -> dict[str, str]:
    """The reporter as config.yaml sets it up, in a range of ports of its own."""
    settings = {name: value for name, value in read("config.yaml").items() if name.startswith("metrics.")}
    text = {name: str(value).lower() if isinstance(value, bool) else str(value) for name, value in settings.items()}
    return text | {"metrics.reporter.prom.port": f"{PORTS.start}-{PORTS.stop - 1}"}


@pytest.fixture(scope="module")
def scraped() -> str:
    """What a real job showed; in a process of its own, as PyFlink keeps objects of the first Java."""
    return alone(shown_by_a_job)


def shown_by_a_job() -> str:
    """What a real job over a simulated log showed last, its Redis included."""
    settings, rule_set = Settings(population={"enabled": True}), load_rules()
    decode = Decoder(settings).decode
    made = [(*decode(line), line) for line in simulate(SimulationSettings(events=EVENTS, malformed=0))]
    as_of_ms = max(fact.time_ms for _, fact, _ in made)
    with workspace() as folder, pytest.MonkeyPatch.context() as patch, EmbeddedValkey(folder / "valkey") as valkey:
        patch.setenv("FLINK_LIB_DIR", str(libraries(folder / "lib")))
        with Gateway(folder / "java") as gateway:
            with SpoolWriter(folder / "spool") as spool:
                for key, fact, line in made:
                    spool.write(key, fact.time_ms, "log:1", line)
                spool.write("", as_of_ms, "log:2", b"{")
            target = RedisTarget(valkey.url, "m:")
            logic = logics(settings, rule_set.text, rule_set.source, as_of_ms)
            spec = JobSpec(spool.path, logic, folder / "job", 5_000, target, flink=reporter())
            with Scraper(gateway) as scraper:
                run_job(gateway, spec)
            return scraper.last


def libraries(folder: Path) -> Path:
    """Flink's jars and the reporter's, which an embedded Flink does not find among the plugins."""
    folder.mkdir()
    for jar in (*flink_home().glob("lib/*.jar"), *flink_home().glob("plugins/metrics-prometheus/*.jar")):
        os.symlink(jar, folder / jar.name)
    return folder


class Scraper:
    """Asks the reporter again and again, as Prometheus does."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway, self.last = gateway, ""
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> "Scraper":
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.wait(0.1):
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{self._port()}/metrics", timeout=5) as answer:
                    text = answer.read().decode()
            except (OSError, LookupError):
                continue
            if all(f"{name}{{" in text for name in WHOLE):
                self.last = text

    def _port(self) -> int:
        """The one of the range that this Java listens on."""
        mine = {os.readlink(link) for link in Path(f"/proc/{self._gateway.pid}/fd").iterdir() if link.is_symlink()}
        for line in [
            *Path("/proc/net/tcp6").read_text().splitlines()[1:],
            *Path("/proc/net/tcp").read_text().splitlines()[1:],
        ]:
            fields = line.split()
            port = int(fields[1].rpartition(":")[2], 16)
            if fields[3] == "0A" and port in PORTS and f"socket:[{fields[9]}]" in mine:
                return port
        raise LookupError("no reporter yet")


def values(text: str, name: str, **labels: str) -> list[float]:
    """The values of a metric's series that have these labels."""
    found = []
    for line in text.splitlines():
        match = re.fullmatch(rf"{name}\{{(.*)\}} (\S+)", line)
        if match and all(f'{label}="{value}"' in match[1] for label, value in labels.items()):
            found.append(float(match[2]))
    return found


@pytest.mark.slow
class TestRunningJob:
    def test_it_has_every_metric_that_alerts_ask_for(self, scraped: str) -> None:
        """By the very name."""
        shown = set(re.findall(r"^(flink_\w+)\{", scraped, re.MULTILINE))
        assert sorted({name for rule in rules() for name in METRIC.findall(rule["expr"])} - shown) == OF_KAFKA

    def test_it_has_every_metric_that_is_explained(self, scraped: str) -> None:
        """And explains every one of Segmill's own."""
        shown = {name for name in re.findall(r"^(flink_\w+)\{", scraped, re.MULTILINE) if name.startswith(GROUP)}
        explained = {name for name in re.findall(r"`(flink_\w+)`", METRICS_TEXT) if name.startswith(GROUP)}
        assert shown == explained

    def test_labels_are_as_they_are_written(self, scraped: str) -> None:
        """Hyphens stay, and the last bucket is +Inf: both would be lost with the reporter's own settings."""
        assert values(scraped, f"{GROUP}segment_change_changes", segment="frequent-buyers", change="entered")
        assert len(values(scraped, f"{GROUP}le_event_to_change_ms_bucket", le="+Inf")) == 1
        assert len(values(scraped, f"{GROUP}le_batch_ms_bucket", le="+Inf", operator_name="redis-writer-customer")) == 1

    def test_the_watermark_of_the_customers_is_there(self, scraped: str) -> None:
        """What the lag is worked out from."""
        (watermark_ms,) = values(
            scraped, "flink_taskmanager_job_task_operator_currentOutputWatermark", operator_name="customer"
        )
        assert watermark_ms > 1_000_000_000_000

    def test_it_counts(self, scraped: str) -> None:
        """Events, and their changes as those of history."""
        assert EVENTS / 2 < sum(values(scraped, f"{GROUP}outcome_events", outcome="applied")) <= EVENTS
        assert sum(values(scraped, f"{GROUP}segment_change_changes")) > 0
        assert sum(values(scraped, f"{GROUP}changes_of_history")) > 0

    def test_nobody_is_named(self, scraped: str) -> None:
        """No label of any metric holds the id of a customer."""
        labels = {label for line in scraped.splitlines() for label in re.findall(r'[{,](\w+)="', line)}
        known = {"job_id", "job_name", "host", "tm_id", "operator_name", "subtask_index", "le", "segment", "change"}
        known |= {"outcome", "reason", "result", "kind"}
        assert labels - {"quantile", "split"} <= known  # which are Flink's own
