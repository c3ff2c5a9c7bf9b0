"""The options that the installed Flink knows: text constants of the classes that declare them."""

import importlib.util
import re
import struct
import zipfile
from functools import cache
from pathlib import Path

_JARS = {
    "lib/flink-dist-*.jar": r"org/apache/flink/(configuration|kubernetes/configuration|state/\w+)/\w*Options\w*\.class",
    "opt/flink-python-*.jar": r".*/PythonOptions\.class",
    "plugins/metrics-prometheus/*.jar": r"org/apache/flink/metrics/prometheus/\w*PrometheusReporter\w*\.class",
}
_SIZES = {3: 4, 4: 4, 5: 8, 6: 8, 7: 2, 8: 2, 9: 4, 10: 4, 11: 4, 12: 4, 15: 3, 16: 2, 17: 4, 18: 4, 19: 2, 20: 2}
"""Bytes of each kind of constant (JVM specification, 4.4) but texts, which are kind 1."""


@cache
def known_options() -> frozenset[str]:
    """Every text constant of those classes: the names of options among them."""
    found: set[str] = set()
    for pattern, name in _JARS.items():
        (jar,) = flink_home().glob(pattern)
        with zipfile.ZipFile(jar) as archive:
            for entry in archive.namelist():
                if re.fullmatch(name, entry):
                    found |= texts(archive.read(entry))
    return frozenset(found)


def unknown(names: list[str]) -> list[str]:
    """Those that are no option. A reporter's settings are named by its settings' last parts."""
    known = known_options()
    return [name for name in names if re.sub(r"^metrics\.reporter\.\w+\.", "", name) not in known and name not in known]


def texts(class_file: bytes) -> set[str]:
    """The text constants of a class."""
    (count,) = struct.unpack_from(">H", class_file, 8)
    at, number, found = 10, 1, set()
    while number < count:
        kind = class_file[at]
        if kind == 1:
            (size,) = struct.unpack_from(">H", class_file, at + 1)
            found.add(class_file[at + 3 : at + 3 + size].decode("utf-8", "replace"))
            at += 3 + size
        else:
            at += 1 + _SIZES[kind]
        number += 2 if kind in (5, 6) else 1
    return found


def flink_home() -> Path:
    """Where PyFlink is installed; it is not imported, which would take a second."""
    spec = importlib.util.find_spec("pyflink")
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent
