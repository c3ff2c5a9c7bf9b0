"""The server: Granian in front of the application, with as many workers as are wanted."""

import ctypes
import multiprocessing
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
from granian.constants import HTTPModes, Interfaces, Loops
from granian.server.mp import MPServer

from schemas.keys import Keys
from schemas.settings import Settings
from serving import openapi
from serving.api_keys import EVERYBODY, ApiKey, ApiKeys
from serving.app import UNKNOWN, App
from serving.change_feed import ChangeFeed
from serving.cors import Cors
from serving.endpoints import content, customers, events, experiments, items, operations, recommendations, segments
from serving.experiments.choice import Chooser
from serving.hosts import Hosts
from serving.intake import Events
from serving.kafka import KafkaSettings
from serving.local_cache import LocalCache
from serving.metrics import Metrics
from serving.ranking.engine import Recommender
from serving.rate_limits import RateLimits
from serving.redis_source import RedisSource
from serving.routes import Router
from serving.segments import SegmentStore
from serving.services import Services
from serving.settings import ServingFiles, ServingSettings
from serving.stopping import Stopping
from state.rules.ruleset import RuleSet

VERSION = "1.0.0"
"""Of the API: the first number is that of the path."""
ROUTES = (
    *recommendations.ROUTES,
    *customers.ROUTES,
    *content.ROUTES,
    *experiments.ROUTES,
    *items.ROUTES,
    *segments.ROUTES,
    *events.ROUTES,
    *operations.ROUTES,
)
_BACKLOG = 1_024
_STOP_WITHIN_S = 5
_RESPAWN_S = 1.0
_LOOK_S = 0.05
_PR_SET_PDEATHSIG = 1


class ServePlan(msgspec.Struct, frozen=True, kw_only=True):
    """What to serve, and where."""

    host: str
    port: int
    workers: int
    redis_url: str
    kafka: KafkaSettings | None
    """None: without /v1/events and /v1/changes."""
    keys: tuple[ApiKey, ...] | None
    """None: everybody may do everything."""
    settings: ServingSettings
    job: Settings
    """By which events are checked."""
    rules: Any
    """The RuleSet by which segments are explained."""
    files: ServingFiles
    """What the files hold that `settings` name: read once, so that a worker that takes another's place has the same."""
    certificate: Path | None = None
    certificate_key: Path | None = None


def serve(plan: ServePlan, on_listening: Callable[[str], None]) -> int | None:
    """Serve until SIGINT or SIGTERM; returns which.

    Raises:
        OSError: the address cannot be used.
    """
    port = plan.port or _free_port(plan.host)
    with socket.socket(socket.AF_INET6 if ":" in plan.host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind((plan.host, port))
    metrics = Metrics((*(route.path for route in ROUTES), UNKNOWN), plan.workers)
    limits = RateLimits(plan.keys or (EVERYBODY,), plan.settings.rate_per_s, plan.settings.burst)
    stopping = Stopping()
    server = _Server(
        "segmill",
        plan.host,
        port,
        interface=Interfaces.RSGI,
        workers=plan.workers,
        http=HTTPModes.auto,
        loop=Loops.uvloop,
        websockets=False,
        backlog=_BACKLOG,
        backpressure=_BACKLOG,
        log_enabled=False,
        respawn_failed_workers=True,
        respawn_interval=_RESPAWN_S,
        workers_kill_timeout=_STOP_WITHIN_S,
        ssl_cert=plan.certificate,
        ssl_key=plan.certificate_key,
    )
    scheme = "https" if plan.certificate is not None else "http"
    shown = f"[{plan.host}]" if ":" in plan.host else plan.host
    telling = (plan.host, port, f"{scheme}://{shown}:{port}", on_listening)
    server.on_forked = threading.Thread(target=_tell, args=telling, daemon=True).start
    server.on_stop = stopping.begin
    loader: Callable[..., Any] = partial(application, plan, metrics, limits, stopping)
    server.serve(target_loader=loader, wrap_loader=False)
    return server.stopped_by


def application(plan: ServePlan, metrics: Metrics, limits: RateLimits, stopping: Stopping) -> App:
    """The application of one worker, which ends when the server itself is gone, however that ended."""
    parent = multiprocessing.parent_process()
    if parent is not None and parent.pid is not None:
        end_with(parent.pid)
    settings, router = plan.settings, Router(ROUTES)
    described = msgspec.json.encode(openapi.document(router, VERSION, plan.keys is not None))
    cors = Cors(settings.cors_origins)
    return App(
        router,
        lambda: _services(plan, metrics, stopping, described),
        ApiKeys(plan.keys) if plan.keys is not None else None,
        limits,
        cors,
        Hosts(settings.allowed_hosts, cors) if plan.keys is None else None,
    )


def end_with(parent_pid: int) -> None:
    """From now on this process ends when its parent does, or has done so already.

    At once: nobody is left who would wait for it, or look whether it does end. SIGTERM would not do: Granian's worker
    hangs for ever if that comes while it starts. And what is served keeps nothing that could be lost.
    """
    if sys.platform != "linux":
        return
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent_pid:  # it ended before it was asked for
        os.kill(os.getpid(), signal.SIGKILL)


def _services(plan: ServePlan, metrics: Metrics, stopping: Stopping, described: bytes) -> Services:
    settings, rules = plan.settings, plan.rules
    assert isinstance(rules, RuleSet)  # noqa: S101  (for types)
    cache = LocalCache(settings.cache_mb << 20, settings.stale_for_s)
    source = RedisSource(
        plan.redis_url,
        Keys(settings.redis_prefix),
        cache,
        settings.redis_timeout_ms / 1000,
        settings.deadline_ms / 1000,
    )
    ranking = msgspec.structs.replace(settings.ranking, part_timeout_ms=0)  # the source keeps the deadline
    sent = partial(metrics.add, "changes_sent")
    kafka = plan.kafka
    feed = None
    if kafka is not None:
        each = None if plan.keys is None else settings.max_streams_per_key or -(-settings.max_streams // 4)
        feed = ChangeFeed(kafka, settings.max_streams, settings.heartbeat_s, sent, stopping, each)
    return Services(
        settings=settings,
        source=source,
        segments=SegmentStore(source, rules),
        recommender=Recommender(ranking, source, plan.files.shop_rules),
        metrics=metrics,
        openapi=described,
        events=Events(kafka, plan.job, settings.ingest_timeout_ms) if kafka is not None else None,
        changes=feed,
        content=plan.files.content,
        chooser=Chooser(plan.files.experiments, ranking),
    )


class _Server(MPServer):
    """Says which signal ended it."""

    stopped_by: int | None = None
    on_stop: Callable[[], None] = staticmethod(lambda: None)
    """What would keep workers from ending is told here to end."""
    on_forked: Callable[[], object] = staticmethod(lambda: None)
    """Called when the first workers are there. No thread of ours may run before: a lock that it holds at that moment,
    such as the resolver's of names, is never let go of in a forked process."""

    def startup(self, *args: Any, **kwargs: Any) -> None:
        """Make the workers."""
        super().startup(*args, **kwargs)  # type: ignore[no-untyped-call]
        self.on_forked()

    def signal_handler_interrupt(self, *args: Any, **kwargs: Any) -> None:
        """Remember which signal it was."""
        self.stopped_by = args[0] if args else signal.SIGTERM
        self.on_stop()
        super().signal_handler_interrupt(*args, **kwargs)  # type: ignore[no-untyped-call]


def _free_port(host: str) -> int:
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.bind((host, 0))
        port: int = probe.getsockname()[1]
        return port


def _tell(host: str, port: int, url: str, on_listening: Callable[[str], None]) -> None:
    """Wait until a worker takes connections."""
    while True:
        try:
            socket.create_connection((host, port), 1).close()
        except OSError:
            time.sleep(_LOOK_S)
        else:
            on_listening(url)
            return
