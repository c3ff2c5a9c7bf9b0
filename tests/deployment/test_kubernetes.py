"""The manifests, held against the schema that the operator publishes: there is no Kubernetes here to try them on."""

import os
import re
import shutil
import subprocess
import zipfile
from pathlib import Path
from typing import Any

import click
import jsonschema
import pytest
import yaml
from files import read

from jobs.live.main import main

CRD = "META-INF/fabric8/flinkdeployments.flink.apache.org-v1.yml"
NEWER = "v2_3"
"""The schema on Maven is that of operator 1.10; of what is used here 1.15 adds this Flink version alone."""
SECRET = re.compile(r"(?i)password|secret|token|credential|access[-.]?key")
POM = Path(__file__).parent / "operator.pom.xml"


def deployment() -> Any:
    return read("kubernetes", "flink-deployment.yaml")


@pytest.fixture(scope="module")
def schema(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Of a FlinkDeployment: from the file that SEGMILL_FLINK_CRD names, else from the operator's jar."""
    named = os.environ.get("SEGMILL_FLINK_CRD")
    if named:
        return strict(yaml.safe_load(Path(named).read_text(encoding="utf-8")), "flinkVersion")
    if shutil.which("mvn") is None:
        pytest.skip("no Maven to fetch the operator's schema with")
    folder = tmp_path_factory.mktemp("operator")
    command = ["mvn", "-B", "-q", "-f", POM, "dependency:copy-dependencies", f"-DoutputDirectory={folder}"]
    subprocess.run(command, check=True, timeout=300)
    (jar,) = folder.glob("*.jar")
    with zipfile.ZipFile(jar) as archive:
        return strict(yaml.safe_load(archive.read(CRD)), "flinkVersion")


def strict(crd: dict[str, Any], newer: str) -> dict[str, Any]:
    """The schema of the resource, in which a field that it does not know is an error."""
    (version,) = [one for one in crd["spec"]["versions"] if one["name"] == "v1beta1"]
    schema: dict[str, Any] = version["schema"]["openAPIV3Schema"]
    close(schema)
    versions = schema["properties"]["spec"]["properties"][newer]["enum"]
    versions += [NEWER] if NEWER not in versions else []
    schema["properties"] |= {"apiVersion": {"const": "flink.apache.org/v1beta1"}, "kind": {"const": "FlinkDeployment"}}
    schema["properties"]["metadata"] = {"type": "object"}
    return schema


def close(schema: dict[str, Any]) -> None:
    """Kubernetes prunes unknown fields in silence; a misspelt one would just not be there."""
    properties = schema.get("properties", {})
    if properties and not schema.get("x-kubernetes-preserve-unknown-fields"):
        schema["additionalProperties"] = False
    if schema.pop("x-kubernetes-int-or-string", False):
        schema.pop("type", None)
    for below in [*properties.values(), schema.get("items"), schema.get("additionalProperties")]:
        if isinstance(below, dict):
            close(below)


@pytest.mark.slow
class TestSchema:
    def test_the_deployment_is_one(self, schema: dict[str, Any]) -> None:
        """Every field is known to the operator and of its type."""
        found = [
            f"{error.json_path}: {error.message}"
            for error in jsonschema.Draft202012Validator(schema).iter_errors(deployment())
        ]
        assert found == []

    @pytest.mark.parametrize(
        ("path", "value"),
        [
            (["spec", "job", "upgradeMode"], "savepont"),
            (["spec", "taskManager", "resources"], {"cpu": 1}),
            (["spec", "podTemplate", "spec", "containers", 0, "volumeMount"], []),
            (["spec", "job", "parallelism"], "two"),
        ],
    )
    def test_what_is_wrong_is_found(self, schema: dict[str, Any], path: list[Any], value: Any) -> None:
        """The check is one."""
        broken = place = deployment()
        for step in path[:-1]:
            place = place[step]
        place[path[-1]] = value
        assert list(jsonschema.Draft202012Validator(schema).iter_errors(broken))


class TestDeployment:
    def test_secrets_come_from_secrets(self) -> None:
        """No value that is one stands in the manifest: not in settings, arguments or environment."""
        spec = deployment()["spec"]
        assert [name for name in spec["flinkConfiguration"] if SECRET.search(name)] == []
        assert [arg for arg in spec["job"]["args"] if "@" in arg or SECRET.search(arg)] == []
        (container,) = spec["podTemplate"]["spec"]["containers"]
        secret = [one for one in container["env"] if SECRET.search(one["name"])]
        assert [set(one) for one in secret] == [{"name", "valueFrom"}]
        assert "secretKeyRef" in secret[0]["valueFrom"]

    def test_it_runs_as_nobody_special(self) -> None:
        """Not as root, without rights to gain."""
        spec = deployment()["spec"]["podTemplate"]["spec"]
        assert spec["securityContext"]["runAsNonRoot"] is True
        (container,) = spec["containers"]
        assert container["securityContext"] == {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}

    def test_a_lost_machine_is_replaced(self) -> None:
        """The JobManager finds its job again, and upgrades keep the state."""
        spec = deployment()["spec"]
        assert spec["flinkConfiguration"]["high-availability.type"] == "kubernetes"
        assert spec["flinkConfiguration"]["high-availability.storageDir"].startswith("s3://")
        assert spec["job"]["upgradeMode"] == "savepoint"
        assert spec["job"]["allowNonRestoredState"] is False

    def test_the_job_knows_its_options(self) -> None:
        """And is told the parallelism that its deployment has."""
        job = deployment()["spec"]["job"]
        module = job["args"].index("-pym") + 1
        assert job["args"][module] == "jobs.live.main"
        options, rest, _ = main.make_parser(click.Context(main)).parse_args(job["args"][module + 1 :])
        assert rest == []
        assert options["parallelism"] == str(job["parallelism"])

    def test_memory_is_that_of_config_yaml(self) -> None:
        """The sums of docs/deploy.md hold for the container."""
        settings, spec = read("config.yaml"), deployment()["spec"]
        assert spec["taskManager"]["resource"]["memory"] == "4096m"
        assert settings["taskmanager.memory.process.size"] == "4 gb"
        assert spec["jobManager"]["resource"]["memory"] == settings["jobmanager.memory.process.size"].replace(
            " mb", "m"
        )


class TestNetworkPolicy:
    def test_it_is_about_the_deployment(self) -> None:
        """Its labels and ports are those of the pods."""
        policy, spec = read("kubernetes", "network-policy.yaml"), deployment()["spec"]
        assert (policy["apiVersion"], policy["kind"]) == ("networking.k8s.io/v1", "NetworkPolicy")
        labels = policy["spec"]["podSelector"]["matchLabels"]
        assert labels.items() <= spec["podTemplate"]["metadata"]["labels"].items()
        ports = {port["port"] for rule in policy["spec"]["ingress"] for port in rule.get("ports", ())}
        assert ports == {8081, int(spec["flinkConfiguration"]["metrics.reporter.prom.port"])}
        open_to_all = [rule for rule in policy["spec"]["ingress"] if not rule.get("from")]
        assert open_to_all == []
