"""The application: from a request to its answer, for Granian's interface RSGI
(https://github.com/emmett-framework/granian/blob/master/docs/spec/RSGI.md).

benchmarks/serving_frameworks.py says why there is no framework between: routing and checking is all it would do here.
"""

import asyncio
import gc
import sys
import time
import traceback
from collections.abc import Callable
from typing import Any

import msgspec

from serving.api_keys import EVERYBODY, ApiKey, ApiKeys
from serving.cors import Cors
from serving.event_source import EVENT_STREAM, come_again, is_to_come_again
from serving.hosts import Hosts
from serving.problems import (
    MEDIA_TYPE,
    ProblemError,
    no_key,
    server_fault,
    too_large,
    too_many_requests,
    wrong_key,
    wrong_scope,
)
from serving.rate_limits import RateLimits
from serving.request_size import check_size
from serving.routes import Call, Reply, Route, Router
from serving.services import Services

UNKNOWN = "unknown"
"""What metrics call every path that there is not."""
_encode = msgspec.json.Encoder().encode
_METRICS_EVERY_S = 1.0
_FIRST_S = 1.0
_GC = 10_000, 20, 100
"""Thresholds of the garbage collector: a full collection looks at all of the cache, and everybody waits meanwhile."""
_Headers = list[tuple[str, str]]


class App:
    """Serves the routes of one worker."""

    def __init__(
        self,
        router: Router,
        make: Callable[[], Services],
        keys: ApiKeys | None,
        limits: RateLimits,
        cors: Cors,
        hosts: Hosts | None = None,
    ) -> None:
        """Nothing runs yet.

        Args:
            router: what is served.
            make: called in the worker.
            keys: None: everybody may do everything.
            limits: how often.
            cors: web pages of other origins that may call.
            hosts: by which names; None: by any.
        """
        self._router, self._make, self._keys, self._limits, self._cors = router, make, keys, limits, cors
        self._hosts = hosts
        self._services: Services
        self._tasks: list[asyncio.Task[None]] = []

    def __rsgi_init__(self, loop: asyncio.AbstractEventLoop) -> None:
        """Before the first request of the worker."""
        loop.run_until_complete(self._begin())

    def __rsgi_del__(self, loop: asyncio.AbstractEventLoop) -> None:
        """After the last one."""
        services = self._services
        for task in self._tasks:
            task.cancel()
        loop.run_until_complete(asyncio.gather(*self._tasks, return_exceptions=True))
        if services.changes is not None:
            services.changes.close()
        if services.events is not None:
            services.events.close()

    async def __rsgi__(self, scope: Any, protocol: Any) -> None:
        """One request."""
        if scope.proto != "http":
            protocol.close(None)
            return
        began = time.perf_counter()
        route: Route | None = None
        try:
            if self._hosts is not None:
                header = scope.headers.get
                self._hosts.check(scope.method, header("host") or scope.authority, header)
            if (preflight := self._cors.preflight(scope.method, scope.headers.get)) is not None:
                protocol.response_empty(204, preflight)
                return
            route, subject = self._router.find(scope.path)
            reply = await self._reply(route, subject, scope, protocol)
        except ProblemError as error:
            reply = _told(error)
        except Exception as error:  # noqa: BLE001  (whatever it is, the client gets an answer)
            _log(error)
            reply = _told(server_fault())
        name = UNKNOWN if route is None else route.path
        self._services.metrics.answered(name, reply.status, (time.perf_counter() - began) * 1000)
        if route is not None and route.media_type == EVENT_STREAM:
            accept = scope.headers.get("accept")
            reply = come_again(reply) if is_to_come_again(accept, reply.status) else reply
        headers = [("content-type", reply.media_type), ("cache-control", "no-store"), *reply.headers]
        headers += self._cors.headers(scope.headers.get)
        if reply.stream is None:
            protocol.response_bytes(reply.status, headers, reply.body)
        else:
            await _stream(protocol, headers, reply.stream)

    async def _reply(self, route: Route, subject: str, scope: Any, protocol: Any) -> Reply:
        check_size(scope.path, scope.query_string, scope.headers.items())
        header, key = scope.headers.get, EVERYBODY
        if scope.method == route.method and route.scope is not None:
            key = self._checked_key(route, header)
        query = self._router.read(route, scope.method, subject, scope.query_string)
        most = self._services.settings.max_body_bytes
        call = Call(
            self._services,
            key,
            subject,
            query,
            header,
            scope.headers.__contains__,
            lambda: _body(protocol, header("content-length"), most),
        )
        answer = await route.handle(call)
        return answer if isinstance(answer, Reply) else Reply(_encode(answer))

    def _checked_key(self, route: Route, header: Callable[[str], str | None]) -> ApiKey:
        key = EVERYBODY
        if self._keys is not None:
            presented = _presented(header)
            if presented is None:
                raise no_key()
            found = self._keys.find(presented)
            if found is None:
                raise wrong_key()
            key = found
            if route.scope is not None and not key.may(route.scope):
                raise wrong_scope(route.scope.value)
        if wait_s := self._limits.wait_s(key):
            raise too_many_requests(wait_s)
        return key

    async def _begin(self) -> None:
        self._services = services = self._make()
        gc.freeze()  # what is here now stays
        gc.set_threshold(*_GC)
        services.metrics.join(lambda: _figures(services))
        loop = asyncio.get_running_loop()
        runs = (services.source.link.run(), services.segments.watch(), _keep_counting(services))
        self._tasks = [loop.create_task(run) for run in runs]
        await services.source.link.first(_FIRST_S)


def _presented(header: Callable[[str], str | None]) -> str | None:
    if key := header("x-api-key"):  # an empty one is none: a proxy may send the header for all who use it
        return key
    kind, _, key = (header("authorization") or "").partition(" ")
    return key.strip() if kind.lower() == "bearer" and key.strip() else None


def _told(error: ProblemError) -> Reply:
    return Reply(_encode(error.problem), error.problem.status, MEDIA_TYPE, tuple(error.headers))


async def _body(protocol: Any, stated: str | None, most_bytes: int) -> bytes:
    """The body of a request.

    Raises:
        ProblemError: 413, it is too large.
    """
    if stated is not None and stated.isdecimal() and int(stated) > most_bytes:
        raise too_large(most_bytes)
    body = bytearray()
    async for part in protocol:
        body += part
        if len(body) > most_bytes:
            raise too_large(most_bytes)
    return bytes(body)


async def _stream(protocol: Any, headers: _Headers, run: Callable[[Any], Any]) -> None:
    """Send a stream until it ends or its client goes."""
    transport = protocol.response_stream(200, headers)
    sending = asyncio.ensure_future(run(transport.send_bytes))
    gone = asyncio.ensure_future(_gone(protocol))
    try:
        await asyncio.wait((sending, gone), return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in (sending, gone):
            task.cancel()
        ended = (await asyncio.gather(sending, gone, return_exceptions=True))[0]
        if isinstance(ended, Exception) and not type(ended).__name__.startswith("RSGIProtocol"):
            _log(ended)


async def _gone(protocol: Any) -> None:
    """Until the client goes. (A task of our own: what the protocol gives is no future that can be gathered.)"""
    await protocol.client_disconnect()


def _log(error: Exception) -> None:
    """Where it happened, without what the error says: that may name a customer."""
    places = "".join(traceback.format_tb(error.__traceback__))
    print(f"fault: {type(error).__name__}\n{places}", file=sys.stderr, flush=True)


def _figures(services: Services) -> dict[str, float]:
    source, link = services.source, services.source.link
    return {
        "cache_hits": source.hits,
        "cache_misses": source.misses,
        "cache_stale": source.stale,
        "read_failures": source.failures,
        "cache_entries": len(source.cache),
        "cache_bytes": source.cache.bytes,
        "redis_connected": link.connected,
        "redis_breaker_open": link.breaker != "closed",
        "streams": services.changes.streams if services.changes is not None else 0,
    }


async def _keep_counting(services: Services) -> None:
    while True:
        services.metrics.update()
        await asyncio.sleep(_METRICS_EVERY_S)
