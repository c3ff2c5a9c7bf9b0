"""The events that are measured with: the simulated shop's default mix (70 % views), as a file or in memory."""

from pathlib import Path

from jobs.simulation import SimulationSettings, simulate, write_log
from schemas.decode import Decoder
from schemas.settings import Settings

Record = tuple[str, int, bytes]
"""(subject, event time, payload as the operators take it)."""
Records = list[Record]
HOT_SHARE = 0.333
"""Share of all events that one customer has in the hot log."""


def records(events: int) -> Records:
    """The default mix, keyed and timed beforehand, as the launcher of an embedded run does."""
    decode = Decoder(Settings()).decode
    made: Records = []
    for line in simulate(SimulationSettings(events=events)):
        subject, fact = decode(line)
        made.append((subject, fact.time_ms, b"\x1f" + line))
    return made


def log_file(folder: Path, events: int, hot_share: float = 0.0) -> Path:
    """A log as JSON lines."""
    path = folder / f"events-{events}-{hot_share:g}" / "events.jsonl"
    write_log(SimulationSettings(events=events, hot_share=hot_share), path)
    return path
