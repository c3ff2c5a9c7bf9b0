"""CPU time of the servers of a stack, and of what the threads of its TaskManagers do."""

from collections import defaultdict
from contextlib import suppress
from pathlib import Path

from benchmarks.embedded import cpu_s, process_cpu_s
from benchmarks.results import Results
from jobs.stack.stack import Stack

Spent = dict[tuple[str, str], float]
"""CPU seconds so far by (kind of server, "") and, of TaskManagers, by (kind, what threads do)."""

THREADS = (
    ("customer", "customers, and their writes to Redis"),
    ("item", "items"),
    ("publish", "lists of similar items, and their writes to Redis"),
    ("assign", "customers beside the population, and their writes to Redis"),
    ("gather", "the population"),
    ("population", "the population"),
    ("Source", "reading the topic"),
    ("kafka-producer", "writing topics"),
    ("DataStreamToTab", "writing topics"),
    ("C1 Compiler", "Java compiles"),
    ("C2 Compiler", "Java compiles"),
    ("GC Thread", "Java collects garbage"),
    ("G1 ", "Java collects garbage"),
)
"""Beginnings of the names of threads, as Linux cuts them, and what they do."""
OTHERS = "others: network, timers, checkpoints"


def servers_cpu_s(stack: Stack) -> Spent:
    """What all servers have spent so far."""
    found: dict[tuple[str, str], float] = defaultdict(float)
    for server in stack.status():
        if server.pid is None:
            continue
        kind = server.name.partition("-")[0]
        found[kind, ""] += process_cpu_s(server.pid)
        if kind == "taskmanager":
            for thread in Path("/proc", str(server.pid), "task").iterdir():
                with suppress(OSError):  # it has ended
                    found[kind, _part(thread)] += cpu_s(thread)
    return dict(found)


def add_spent(results: Results, before: Spent, after: Spent, events: int, what: str = "") -> None:
    """Add rows: what was spent on so many events, in all and by part. `what`: stands before their names."""
    spent_us = {name: (cpu_s - before.get(name, 0.0)) / events * 1e6 for name, cpu_s in after.items()}
    total_us = sum(us for (_, part), us in spent_us.items() if not part)
    results.add(f"{what}CPU time of all servers", "us/event", total_us)
    for (server, part), us in sorted(spent_us.items(), key=lambda one: (one[0][0], -one[1])):
        results.add(f"  {what}{server}{part and ': '}{part}", "us/event", us)


def _part(thread: Path) -> str:
    name = (thread / "comm").read_text().strip()
    return next((what for start, what in THREADS if name.startswith(start)), OTHERS)
