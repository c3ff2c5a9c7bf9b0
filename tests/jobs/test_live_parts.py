"""Parts of the live job that need no server."""

import json
import subprocess
import sys
import tempfile
import threading
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from cli_runs import call

from jobs.compiled_core import libraries, library_suffix
from jobs.kafka_client import KafkaProblem, KafkaTarget
from jobs.live.configuration import BROKER_AWAY_MS, configuration
from jobs.live.java_client import java_properties
from jobs.live.package import write_package
from jobs.live.rest import Cluster, ClusterProblem
from jobs.live.settings import LiveSpec
from jobs.live.sinks import TRANSACTION_TIMEOUT_MS
from jobs.live.sql import options, text
from jobs.topics import Topics
from operators.redis_connection import RedisTarget
from schemas.settings import Settings


class TestFlinkSettings:
    @pytest.mark.parametrize("stated", ["rocksdb", "=rocksdb", " =x"])
    def test_not_a_setting(self, stated: str, capsys: pytest.CaptureFixture[str]) -> None:
        said = call(capsys, "submit", "segments", "-D", stated)
        assert said.code == 2
        assert "NAME=VALUE" in said.err

    @pytest.mark.parametrize(
        "name", ["python.execution-mode", "python.executable", "rest.port", "execution.state-recovery.path"]
    )
    def test_what_the_job_needs_cannot_be_changed(self, name: str, capsys: pytest.CaptureFixture[str]) -> None:
        """Found before anything is asked of a server: there is none here."""
        said = call(capsys, "submit", "segments", "-D", f"{name}=x", "-D", "a.b=c")
        assert said.code == 1
        assert f"{name}: the job sets this itself" in said.err


class TestFolder:
    def test_a_comma_in_its_path(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Flink would wait for ever. Found before anything is asked of a server: there is none here."""
        (tmp_path / "1,000").mkdir()
        monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "1,000"))
        said = call(capsys, "submit", "segments", "--bootstrap", "127.0.0.1:1", "--flink", "127.0.0.1:1")
        assert said.code == 1
        assert "a path without a comma; set TMPDIR" in said.err
        assert list((tmp_path / "1,000").iterdir()) == []


class TestTransactions:
    def test_a_checkpoint_ends_before_they_time_out(self) -> None:
        """Else what waits in one for its checkpoint would be lost."""
        spec = LiveSpec(KafkaTarget("b:1"), RedisTarget("redis://h"), Settings(), "", "")
        timeout = configuration(spec)["execution.checkpointing.timeout"]
        assert timeout == "5 min"
        assert TRANSACTION_TIMEOUT_MS > 5 * 60_000

    def test_a_sink_waits_for_a_broker_within_all_other_limits(self) -> None:
        """Its commit and the end of its transaction, one after the other, are less than the transaction lasts; a task
        that waits is not ended with its TaskManager before.
        """
        spec = LiveSpec(KafkaTarget("b:1"), RedisTarget("redis://h"), Settings(), "", "")
        cancelled_ms = int(configuration(spec)["task.cancellation.timeout"].removesuffix(" ms"))
        assert 60_000 < BROKER_AWAY_MS < cancelled_ms
        assert BROKER_AWAY_MS + cancelled_ms < TRANSACTION_TIMEOUT_MS


class TestTopics:
    def test_models_are_needed_with_a_population_only(self) -> None:
        """Who has the topics of before goes on with them."""
        told, plain = (
            {one.name for one in LiveSpec(KafkaTarget("b:1"), RedisTarget("redis://h"), one, "", "").needed_topics}
            for one in (Settings(population={"enabled": True}), Settings())
        )
        assert told - plain == {"models", "population-memberships"}
        assert plain < told == {one.name for one in Topics().all}


class TestJavaProperties:
    """Settings in librdkafka's names, said in those of Java."""

    def java(self, **settings: str) -> dict[str, str]:
        named = {name.replace("__", "."): value for name, value in settings.items()}
        return java_properties(KafkaTarget("broker:9092", named))

    def test_login(self) -> None:
        """The login module is the one that the connector brings along; quotes cannot end the password."""
        found = self.java(
            security__protocol="sasl_ssl", sasl__mechanism="SCRAM-SHA-512", sasl__username="u", sasl__password='a"b\\c;'
        )
        assert found == {
            "bootstrap.servers": "broker:9092",
            "security.protocol": "SASL_SSL",
            "sasl.mechanism": "SCRAM-SHA-512",
            "sasl.jaas.config": "org.apache.flink.kafka.shaded.org.apache.kafka.common.security.scram.ScramLoginModule "
            'required username="u" password="a\\"b\\\\c;";',
        }

    def test_certificates_stay_files(self) -> None:
        found = self.java(
            ssl__ca__location="/etc/ca.pem", ssl__keystore__location="/etc/me.p12", ssl__keystore__password="p"
        )
        assert found["ssl.truststore.type"] == "PEM"
        assert found["ssl.truststore.location"] == "/etc/ca.pem"
        assert (found["ssl.keystore.type"], found["ssl.keystore.location"]) == ("PKCS12", "/etc/me.p12")

    def test_what_is_of_the_library_alone_is_left_out(self) -> None:
        assert self.java(debug="all", socket__timeout__ms="1") == {"bootstrap.servers": "broker:9092"}

    @pytest.mark.parametrize(
        "settings",
        [
            {"sasl__mechanism": "GSSAPI"},
            {"sasl__mechanism": "PLAIN", "sasl__password": "secret"},
            {"ssl__key__location": "secret"},
            {"queue__buffering__max__ms": "secret"},
        ],
    )
    def test_what_java_cannot_be_told(self, settings: dict[str, str]) -> None:
        """An error that names the setting, never its value."""
        with pytest.raises(KafkaProblem) as raised:
            self.java(**settings)
        assert "secret" not in str(raised.value)
        assert next(iter(settings)).partition("__")[0] in str(raised.value)


class TestSql:
    def test_quotes(self) -> None:
        """What is put into a statement cannot end its text."""
        assert text("it's") == "'it''s'"
        assert options({"a'b": "c'); DROP"}) == "('a''b' = 'c''); DROP')"


class TestPackage:
    """The code that a job brings along."""

    def test_same_code_same_bytes(self, tmp_path: Path) -> None:
        one, two = write_package(tmp_path / "one.zip"), write_package(tmp_path / "two.zip")
        assert one == two
        assert (tmp_path / "one.zip").read_bytes() == (tmp_path / "two.zip").read_bytes()

    def test_it_is_whole(self, tmp_path: Path) -> None:
        """A Python that has nothing else of the project makes the logic of an operator from it."""
        write_package(tmp_path / "code.zip")
        with zipfile.ZipFile(tmp_path / "code.zip") as archive:
            archive.extractall(tmp_path / "code")
        program = (
            "import sys; sys.meta_path = [f for f in sys.meta_path if 'editable' not in repr(f)]; "
            "import jobs.factories as f, operators.redis_connection as r, state.rules.ruleset as s; "
            "from schemas.settings import Settings; rules = s.load_rules(None); "
            "f.make_customer_logic(Settings(), rules.text, rules.source, None); print(f.__file__)"
        )
        ran = subprocess.run(
            [sys.executable, "-c", program],
            cwd=tmp_path / "code",
            capture_output=True,
            text=True,
            check=False,
        )
        assert ran.returncode == 0, ran.stderr
        assert ran.stdout.strip().startswith(str(tmp_path / "code"))


class TestShipping:
    """An operator is made by the code of its own release, whatever the Python has loaded before."""

    RELEASE = "class Thing:\n    release = {!r}\n"

    def release(self, folder: Path, name: str) -> Path:
        """A folder with another release of a module that operators may have."""
        (folder / "operators").mkdir(parents=True)
        (folder / "operators" / "__init__.py").write_text("")
        (folder / "operators" / "thing.py").write_text(self.RELEASE.format(name))
        (folder / "segmill_build.py").write_text(f"BUILD = {name!r}\n")
        return folder

    def test_another_release(self, tmp_path: Path) -> None:
        """First one, then the other, then the first again in another folder, with the old one gone."""
        first, second = self.release(tmp_path / "1", "one"), self.release(tmp_path / "2", "two")
        third = self.release(tmp_path / "3", "one")
        program = f"""
import shutil, sys
sys.meta_path = [f for f in sys.meta_path if 'editable' not in repr(f)]
sys.path.insert(0, {str(first)!r})
import operators.thing
scope = {{}}
exec(compile({self.source()!r}, "shipping", "exec"), scope)
import pickle
pickled = pickle.dumps((operators.thing.Thing, {{"a": 1}}))
said = [scope["load"]("one", pickled).release]
sys.path.append({str(second)!r})
said.append(scope["load"]("two", pickled).release)
shutil.rmtree({str(first)!r}); shutil.rmtree({str(second)!r})
sys.path.append({str(third)!r})
again = scope["load"]("one", pickled)
said.append((again.release, again.a, sys.modules["operators"].__file__.startswith({str(third)!r})))
print(said)
"""
        ran = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=False)
        assert ran.returncode == 0, ran.stderr
        assert ran.stdout.strip() == "['one', 'two', ('one', 1, True)]"

    @pytest.mark.slow
    def test_the_compiled_core(self, tmp_path: Path, compiled_tree: Path) -> None:
        """As a job starts again in the same Python, its code in another folder; then another release, without it."""
        with_it, without = (self.unpacked(tmp_path, name, compiled_tree) for name in ("with", "without"))
        again = tmp_path / "again"
        program = f"""
import os, pickle, shutil, sys
sys.meta_path = [f for f in sys.meta_path if 'editable' not in repr(f)]
scope = {{}}
exec(compile({self.source()!r}, "shipping", "exec"), scope)
from types import SimpleNamespace

def use(folder, build):
    sys.path.append(folder)
    operator = scope["load"](build, pickle.dumps((SimpleNamespace, {{"id": "p"}})))
    from jobs.factories import make_customer_logic
    from schemas.settings import Settings
    from state.customer import fold
    from state.local import LocalRun
    from state.rules.ruleset import load_rules
    rules = load_rules(None)
    run = LocalRun(make_customer_logic(Settings(), rules.text, rules.source, None), 5_000)
    event = b'{{"event_id":"e","type":"product_viewed","timestamp":1740787200000,"customer_id":"c","product_id":"p"}}'
    said = run.feed("c", 1740787200000, bytes([31]) + event)
    libraries = sorted(name for name in sys.modules if name.startswith("segmill_core_"))
    print(os.path.relpath(fold.__file__, {str(tmp_path)!r}), len(said), len(libraries), operator.id)

use({str(with_it)!r}, {self.build(with_it)!r})
os.rename({str(with_it)!r}, {str(again)!r})
use({str(again)!r}, {self.build(with_it)!r})
use({str(without)!r}, {self.build(without)!r})
"""
        ran = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=False)
        assert ran.returncode == 0, ran.stderr
        said = [line.split() for line in ran.stdout.splitlines()]
        fold = f"state/customer/fold{library_suffix()}"
        assert [line[0] for line in said] == [f"with/{fold}", f"again/{fold}", "without/state/customer/fold.py"]
        assert len({line[1] for line in said}) == 1
        assert [line[2] for line in said] == ["1", "1", "0"]

    def unpacked(self, folder: Path, name: str, compiled_tree: Path) -> Path:
        """A release as Flink unpacks it."""
        write_package(folder / f"{name}.zip", libraries(compiled_tree) if name == "with" else None)
        with zipfile.ZipFile(folder / f"{name}.zip") as archive:
            archive.extractall(folder / name)
        return folder / name

    def build(self, folder: Path) -> str:
        return (folder / "segmill_build.py").read_text(encoding="utf-8").split("'")[1]

    def source(self) -> str:
        return (Path(__file__).parents[2] / "operators" / "shipping.py").read_text(encoding="utf-8")


class TestCluster:
    def test_no_cluster(self) -> None:
        """Says where it looked and what to look at."""
        with pytest.raises(ClusterProblem, match=r"no Flink answers at http://127\.0\.0\.1:1 .*--flink"):
            Cluster("127.0.0.1:1").jobs()

    def test_no_address(self) -> None:
        with pytest.raises(ClusterProblem, match="not host:port"):
            Cluster("ftp://somewhere")


@contextmanager
def overview(*states: str) -> Iterator[str]:
    """Address of what answers as a cluster with one job does, at each look in the next of these states."""
    left = list(states)

    class Answers(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            state = left.pop(0) if len(left) > 1 else left[0]
            job = {"jid": "j1", "name": "segmill", "state": state, "start-time": 1}
            self.answer({"jobs": [job]} if self.path == "/jobs/overview" else {})

        def do_PATCH(self) -> None:
            self.answer({})

        def answer(self, what: dict[str, Any]) -> None:
            body = json.dumps(what).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Answers) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        yield f"127.0.0.1:{server.server_port}"
        server.shutdown()


class TestEnd:
    """A job that is being cancelled still holds its slots."""

    def test_stop_now_waits(self, capsys: pytest.CaptureFixture[str]) -> None:
        """Until the job has ended."""
        with overview("RUNNING", "RUNNING", "CANCELLING", "CANCELED") as flink:
            said = call(capsys, "stop", "segmill", "--now", "--flink", flink)
            assert (said.code, said.out.strip()) == (0, "cancelled")
            assert "cancelling segmill (j1)" in said.err
            assert Cluster(flink).jobs()[0].state == "CANCELED"

    def test_an_end_that_does_not_come(self, capsys: pytest.CaptureFixture[str]) -> None:
        """Is told: it is not called cancelled."""
        with overview("RUNNING", "CANCELLING") as flink:
            said = call(capsys, "stop", "segmill", "--now", "--flink", flink, "--within", "10ms")
        assert said.code == 1
        assert "cancelling; `segmill jobs` tells when" in said.err.replace("\n", " ")

    @pytest.mark.parametrize("state", ["RUNNING", "CANCELLING", "FAILING", "RESTARTING", "SUSPENDED"])
    def test_its_name_is_taken(self, state: str) -> None:
        """While it has not ended."""
        with overview(state) as flink:
            found = Cluster(flink).not_ended("segmill")
            assert found is not None
            assert found.state == state
            assert Cluster(flink).not_ended("other") is None

    @pytest.mark.parametrize("state", ["CANCELED", "FAILED", "FINISHED"])
    def test_its_name_is_free(self, state: str) -> None:
        """Once it has."""
        with overview(state) as flink:
            assert Cluster(flink).not_ended("segmill") is None

    def test_restarts_of_an_ended_job_are_not_known(self, capsys: pytest.CaptureFixture[str]) -> None:
        """A dash for people, null for machines."""
        with overview("CANCELED") as flink:
            said, for_machines = (
                call(capsys, "jobs", "--flink", flink),
                call(capsys, "jobs", "--flink", flink, "--json"),
            )
        assert said.code == 0
        assert "None" not in said.out
        assert for_machines.json[0]["restarts"] is None
