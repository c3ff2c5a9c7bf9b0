"""Figures for Prometheus (text format 0.0.4), added up over all workers of one server.

Each worker counts in a part of its own of memory that all share; whoever is asked adds the parts up. So all series are
known beforehand: routes, statuses and the bounds of the histogram, never anything a caller says.
"""

import mmap
import multiprocessing
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

BOUNDS_MS = (1, 2, 3, 5, 7, 10, 15, 20, 30, 50, 75, 100, 250, 500, 1_000, 2_500, 5_000)
STATUSES = (200, 204, 400, 401, 403, 404, 405, 413, 414, 415, 421, 422, 429, 431, 500, 503)
MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"
COUNTERS = {
    "cache_hits": "Reads of single keys from the fresh local cache",
    "cache_misses": "Reads of single keys from Redis",
    "cache_stale": "Reads of single keys from the stale local cache, as Redis could not be asked",
    "read_failures": "Reads of single keys in vain",
    "degraded_answers": "Answers that were poorer than they could have been, or old",
    "events_accepted": "Events that Kafka has acknowledged",
    "events_rejected": "Events that were refused, with a reason",
    "changes_sent": "Segment changes sent to streams",
}
GAUGES = {
    "cache_entries": "Values in the local cache",
    "cache_bytes": "Estimated memory of the local cache",
    "redis_connected": "Workers with a connection to Redis",
    "redis_breaker_open": "Workers that do not ask Redis just now",
    "streams": "Connections to /v1/changes",
    "workers": "Workers that have counted anything",
}


class Metrics:
    """Counters of one worker, and the sums of all. Made before the workers are forked, so that they share it."""

    def __init__(self, routes: Sequence[str], workers: int) -> None:
        self._routes = tuple(routes)
        names: list[tuple[str, str, int | str]] = [("route", route, status) for route in routes for status in STATUSES]
        names += [("time", route, bound) for route in routes for bound in (*BOUNDS_MS, "inf", "sum")]
        self._places = {name: place for place, name in enumerate([*names, *COUNTERS, *GAUGES, "pid"])}
        self._all = memoryview(mmap.mmap(-1, 8 * len(self._places) * workers)).cast("d")
        self._joining = multiprocessing.Lock()
        self._mine = self._all[: len(self._places)]
        self._refresh: Callable[[], Mapping[str, float]] = dict
        self._before = dict.fromkeys(COUNTERS, 0.0)
        """What the worker had counted in whose place this one is."""

    def join(self, refresh: Callable[[], Mapping[str, float]]) -> None:
        """Begin to count as a worker; `refresh` gives the counters and gauges that others keep."""
        size = len(self._places)
        with self._joining:
            parts = [self._all[start : start + size] for start in range(0, len(self._all), size)]
            free = [part for part in parts if not _is_alive(int(part[self._places["pid"]]))]
            self._mine = (free or parts)[0]  # one that takes another's place counts on
            self._mine[self._places["pid"]] = os.getpid()
        self._mine[self._places["workers"]] = 1
        self._before = {name: self._mine[self._places[name]] for name in COUNTERS}
        self._refresh = refresh

    def answered(self, route: str, status: int, took_ms: float) -> None:
        """Count an answer."""
        places, mine = self._places, self._mine
        mine[places["route", route, status if status in STATUSES else 500]] += 1
        bound = next((bound for bound in BOUNDS_MS if took_ms <= bound), "inf")
        mine[places["time", route, bound]] += 1
        mine[places["time", route, "sum"]] += took_ms

    def add(self, counter: str, count: int = 1) -> None:
        """Count something else; see COUNTERS."""
        self._mine[self._places[counter]] += count

    def update(self) -> None:
        """Write down what others keep. To be called now and then, so that it can be added up in another worker."""
        for name, value in self._refresh().items():
            self._mine[self._places[name]] = value + self._before.get(name, 0.0)

    def text(self) -> str:
        """For a scrape."""
        self.update()
        size = len(self._places)
        sums: dict[Any, float] = {name: sum(self._all[place::size]) for name, place in self._places.items()}
        lines = _header("requests_total", "counter", "Answers by route and status")
        for route in self._routes:
            for status in STATUSES:
                if count := sums["route", route, status]:
                    lines.append(f'segmill_serve_requests_total{{route="{route}",status="{status}"}} {count:.0f}')
        lines += _header("request_seconds", "histogram", "Time to the answer, of streams to its beginning")
        for route in self._routes:
            lines += self._histogram(route, sums)
        for name, about in COUNTERS.items():
            lines += [*_header(f"{name}_total", "counter", about), f"segmill_serve_{name}_total {sums[name]:.0f}"]
        for name, about in GAUGES.items():
            lines += [*_header(name, "gauge", about), f"segmill_serve_{name} {sums[name]:.0f}"]
        return "\n".join([*lines, ""])

    def _histogram(self, route: str, sums: Mapping[Any, float]) -> list[str]:
        name, total, lines = "segmill_serve_request_seconds", 0.0, []
        for bound in (*BOUNDS_MS, "inf"):
            total += sums["time", route, bound]
            shown = "+Inf" if isinstance(bound, str) else f"{bound / 1000:g}"
            lines.append(f'{name}_bucket{{route="{route}",le="{shown}"}} {total:.0f}')
        if not total:
            return []
        return [
            *lines,
            f'{name}_sum{{route="{route}"}} {sums["time", route, "sum"] / 1000:.6f}',
            f'{name}_count{{route="{route}"}} {total:.0f}',
        ]


def _header(name: str, kind: str, about: str) -> list[str]:
    return [f"# HELP segmill_serve_{name} {about}.", f"# TYPE segmill_serve_{name} {kind}"]


def _is_alive(pid: int) -> bool:
    """Whether a process runs; one that has ended and is not yet reaped does not."""
    if not pid:
        return False
    try:
        os.kill(pid, 0)
        state = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()[0]
    except ProcessLookupError:
        return False
    except (OSError, IndexError):  # no /proc here
        return True
    return state not in ("Z", "X")
