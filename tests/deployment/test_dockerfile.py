"""The Dockerfile, read instruction by instruction: no engine builds it here."""

import fnmatch
import re
import shlex

import pytest
from files import CONF, ROOT

from jobs.live.package import PACKAGES

KNOWN = {"FROM", "RUN", "COPY", "ENV", "USER"}
"""All it needs. ADD and ARG are left out on purpose: they fetch, and they stay in the image's history."""
OPTIONS = {"FROM": set(), "COPY": {"--from", "--chown"}, "RUN": set(), "ENV": set(), "USER": set()}


def instructions() -> list[tuple[str, str]]:
    """(instruction, arguments), lines joined and comments left out."""
    text = (CONF / "Dockerfile").read_text(encoding="utf-8")
    lines = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("#"))
    joined = re.sub(r"\\\n\s*", " ", lines)
    return [(name, rest) for name, _, rest in (line.partition(" ") for line in joined.splitlines() if line.strip())]


def copies() -> list[tuple[str | None, list[str]]]:
    """(stage, sources) of each COPY."""
    found = []
    for name, rest in instructions():
        if name == "COPY":
            words = shlex.split(rest)
            options = dict(word.split("=", 1) for word in words if word.startswith("--"))
            found.append((options.get("--from"), [word for word in words if not word.startswith("--")][:-1]))
    return found


def ignored(path: str) -> bool:
    """Whether .dockerignore keeps it from the build; its last rule that fits decides."""
    out = False
    for line in (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines():
        rule = line.strip()
        if rule and not rule.startswith("#"):
            wanted = rule.lstrip("!")
            if any(fnmatch.fnmatch(part, wanted) for part in (path, path.split("/")[0])):
                out = not rule.startswith("!")
    return out


class TestDockerfile:
    def test_every_instruction_is_known(self) -> None:
        """And has the options that it may have."""
        for name, rest in instructions():
            assert name in KNOWN
            assert {
                word.split("=")[0] for word in rest.split() if re.match(r"--[a-z]+=", word) and name != "RUN"
            } <= OPTIONS[name]

    def test_stages_are_there_before_they_are_used(self) -> None:
        """Each has its name once; images from elsewhere have a version."""
        stages: list[str] = []
        for name, rest in instructions():
            if name == "FROM":
                image, *named = rest.split()
                assert image in stages or re.fullmatch(r"[a-z]+:[\w.-]*\d[\w.-]*", image), image
                stages += named[1:]
            elif name == "COPY" and "--from=" in rest:
                assert re.search(r"--from=(\w+)", rest)[1] in stages
        assert len(stages) == len(set(stages)) == 4

    def test_what_is_copied_is_there(self) -> None:
        """In the project, and not kept from the build."""
        sources = [source for stage, sources in copies() if stage is None for source in sources]
        assert len(sources) > 5
        assert [source for source in sources if not (ROOT / source).exists() or ignored(source)] == []

    @pytest.mark.parametrize(
        "path", [".git", ".venv", ".env", "out", "kafka.properties", "examples", "flink-conf/x.yaml"]
    )
    def test_nothing_else_gets_into_it(self, path: str) -> None:
        """Neither results nor what lies about."""
        assert ignored(path)

    def test_all_packages_are_copied(self) -> None:
        """Those that the archive of the job is made of."""
        copied = {source for stage, sources in copies() if stage is None for source in sources}
        assert set(PACKAGES) <= copied

    def test_packages_are_pinned(self) -> None:
        """By hash; and nothing is fetched while they are built."""
        installs = [rest for name, rest in instructions() if name == "RUN" and "pip install" in rest]
        parts = [part for rest in installs for part in rest.split("&&") if "pip install" in part]
        assert len(parts) == 3
        assert all("--require-hashes" in part for part in parts)
        assert "--strict-checksums" in next(rest for name, rest in instructions() if "mvn" in rest)

    def test_it_does_not_run_as_root(self) -> None:
        """The last word on the user is Flink's own; no secret stands in the environment."""
        assert [rest for name, rest in instructions() if name == "USER"][-1] == "flink"
        assert instructions()[-1] == ("USER", "flink")
        assert not any(re.search(r"(?i)password|secret|token", rest) for _, rest in instructions())
