"""The deployment files, read."""

from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
CONF = ROOT / "flink-conf"


class OnceLoader(yaml.SafeLoader):
    """Refuses a key that stands twice, which YAML forbids and PyYAML overlooks."""

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        keys = [self.construct_object(key, deep=deep) for key, _ in node.value]
        assert len(keys) == len(set(keys)), f"twice: {sorted({key for key in keys if keys.count(key) > 1})}"
        return super().construct_mapping(node, deep=deep)


def read(*parts: str) -> Any:
    """The one document of a YAML file below flink-conf."""
    return OnceLoader(CONF.joinpath(*parts).read_text(encoding="utf-8")).get_single_data()


def properties(text: str) -> dict[str, str]:
    """A file of Java properties without escapes and continuations."""
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    return {name.strip(): value.strip() for name, _, value in (line.partition("=") for line in lines)}
