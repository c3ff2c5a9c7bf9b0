"""A Valkey with a small shop, and the server over it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from jobs.runtime.valkey import EmbeddedValkey
from serving.api_keys import new_key
from tests.serving.served import Served, serve
from tests.serving.small_shop import fill


@pytest.fixture(scope="module")
def valkey(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedValkey]:
    """With the shop of small_shop.py in it."""
    with EmbeddedValkey(tmp_path_factory.mktemp("valkey")) as server:
        fill(server.url)
        yield server


@pytest.fixture(scope="module")
def served(valkey: EmbeddedValkey) -> Iterator[Served]:
    """Without keys and without Kafka."""
    with serve("--without-keys", "--without-kafka", "--redis", valkey.url) as server:
        server.until("/readyz", 200)
        yield server


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, str]]:
    """A file of keys, and the keys by scope; `slow` may ask twice and then once in a thousand seconds."""
    path, made, lines = tmp_path_factory.mktemp("keys") / "keys.toml", {}, []
    for name in ("read", "ingest", "admin", "slow"):
        made[name], digest = new_key()
        scope = "read" if name == "slow" else name
        lines.append(f'[[keys]]\nname = "{name}"\nsha256 = "{digest}"\nscopes = ["{scope}"]')
    path.write_text("\n".join([*lines, "rate_per_s = 0.001", "burst = 2", ""]))
    return path, made
