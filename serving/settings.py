"""Settings of the server: a TOML file, then the environment; and the table of what each is for."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import msgspec

from schemas.toml_file import toml_document
from serving.content.document import load_content
from serving.content.entry import Content
from serving.experiments.definitions import Experiments
from serving.experiments.document import load_experiments
from serving.ranking.settings import RankingSettings
from serving.ranking.shop_rules import ShopRules
from serving.ranking.shop_rules_file import load_shop_rules
from serving.ranking.strategies import UnknownStrategy, strategy_named

ENVIRONMENT = "SEGMILL_SERVE_"
"""SEGMILL_SERVE_CACHE_MB=512 wins over cache_mb in the file; tables cannot be set so."""


class ServingSettingsError(ValueError):
    """Settings that cannot be used; the message says where and why."""


class ServingSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything about serving that may be set."""

    redis_prefix: str = "segmill:"
    """Stands before every Redis key, as the job writes them."""
    deadline_ms: int = 50
    """An answer that is read from Redis comes within this time, poorer if need be."""
    redis_timeout_ms: int = 30
    """How long one read waits for Redis."""
    cache_mb: int = 256
    """Estimated memory of the local cache of each worker."""
    stale_for_s: int = 86_400
    """How old what was read before may be when it serves because Redis cannot be asked."""
    rate_per_s: float = 0.0
    """Requests a second of one key, unless the key says otherwise; 0: any number. Of all workers together."""
    burst: float = 0.0
    """So many requests at once beyond the rate; 0: twice the rate of a second."""
    max_body_bytes: int = 2 << 20
    """Longer bodies are refused."""
    max_events: int = 500
    """Events of one batch."""
    ingest_timeout_ms: int = 10_000
    """How long the acknowledgement of a batch is waited for."""
    cors_origins: tuple[str, ...] = ()
    """Origins of web pages that may call the API, such as https://shop.example; "*": all."""
    allowed_hosts: tuple[str, ...] = ()
    """Names, beside localhost and addresses such as 127.0.0.1, that a server without keys answers to."""
    max_streams: int = 16
    """Connections to /v1/changes at the same time, of each worker; each has a Kafka consumer of its own."""
    max_streams_per_key: int = 0
    """Of these, of one key; 0: a quarter. Without keys there is no such bound."""
    heartbeat_s: float = 15.0
    """A stream without changes sends a sign of life so often."""
    topic_prefix: str = ""
    """Stands before the names of the Kafka topics."""
    content_file: str | None = None
    """Banners and messages (docs/recommendations.md)."""
    experiments_file: str | None = None
    """Experiments (docs/experiments.md)."""
    ranking: RankingSettings = RankingSettings()
    """How recommendations are made (docs/recommendations.md)."""


_LISTS = ("cors_origins", "allowed_hosts")
"""In the environment with blanks between."""
_LEAST = {"stale_for_s": 0, "heartbeat_s": 0.1, "rate_per_s": 0, "burst": 0, "max_streams_per_key": 0}
"""The least values of numbers where it is not 1."""
_MOST = {"max_events": 500, "deadline_ms": 60_000, "max_streams": 256, "max_streams_per_key": 256}


def load_serving_settings(path: Path | None, environ: Mapping[str, str] = os.environ) -> ServingSettings:
    """Read settings from a TOML file, if one is given, and from the environment.

    Raises:
        ServingSettingsError: the file cannot be read, or a setting does not exist, has the wrong type or is out of its
            range.
    """
    document = toml_document(path, ServingSettingsError) if path is not None else {}
    source = str(path) if path is not None else "settings"
    for name in ServingSettings.__struct_fields__:
        if (stated := environ.get(ENVIRONMENT + name.upper())) is not None:
            document[name] = tuple(stated.split()) if name in _LISTS else stated
            source = "settings and environment"
    try:
        settings = msgspec.convert(document, ServingSettings, strict=False)
    except msgspec.ValidationError as error:
        raise ServingSettingsError(f"{source}: {error}") from None
    for name in ServingSettings.__struct_fields__:
        value = getattr(settings, name)
        if isinstance(value, int | float) and not _LEAST.get(name, 1) <= value <= _MOST.get(name, 1 << 40):
            allowed = f"from {_LEAST.get(name, 1)}" + (f" to {_MOST[name]}" if name in _MOST else "")
            raise ServingSettingsError(f"{source}: {name} = {value}: must be {allowed}")
    return settings


class ServingFiles(NamedTuple):
    """What stands in the files that settings name."""

    content: Content | None
    shop_rules: ShopRules
    experiments: Experiments


def read_files(settings: ServingSettings, segments: frozenset[str] | None = None) -> ServingFiles:
    """Read the files that settings name; `segments`: names that their conditions may refer to, None: any.

    Raises:
        RuleError: one of them cannot be read, or has faults.
        ServingSettingsError: there is no such strategy.
    """
    content, rules, experiments = settings.content_file, settings.ranking.rules_file, settings.experiments_file
    try:
        strategy_named(settings.ranking.strategy)
    except UnknownStrategy as error:
        raise ServingSettingsError(f"ranking.strategy: {error}") from None
    return ServingFiles(
        None if content is None else load_content(Path(content), segments),
        ShopRules() if rules is None else load_shop_rules(Path(rules), segments),
        Experiments() if experiments is None else load_experiments(Path(experiments)),
    )
