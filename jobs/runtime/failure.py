"""What to tell of a failed job: the innermost Python error and its place, not two hundred lines of Java."""

import re

_IN_THREAD = re.compile(
    r"PythonException: <class '(?P<kind>[^']*)'>: (?P<message>.*?)\n\s*at (?P<place>[^\n]*)", re.DOTALL
)
_PLACE_IN_THREAD = re.compile(r"(?P<module>.*)\.(?P<function>[^.(]*)\((?P<file>[^:()]*):(?P<line>\d+)\)")
_PLACE_IN_PROCESS = re.compile(r'^\s*File "(?P<file>[^"]*)", line (?P<line>\d+), in ', re.MULTILINE)
_ERROR_IN_PROCESS = re.compile(r"^(?P<kind>[A-Za-z_][\w.]*): (?P<message>.*)$", re.MULTILINE)
_JAVA_CAUSE = re.compile(r"^Caused by: (?P<cause>.*)$", re.MULTILINE)
_LONGEST = 2_000


def explain(trace: str) -> str:
    """One message from a Java stack trace."""
    return (_from_thread(trace) or _from_process(trace) or _from_java(trace))[:_LONGEST]


def _from_thread(trace: str) -> str | None:
    found = list(_IN_THREAD.finditer(trace))
    if not found:
        return None
    innermost = found[-1]
    message = f"{innermost['kind'].rpartition('.')[2]}: {innermost['message'].strip()}"
    place = _PLACE_IN_THREAD.match(innermost["place"])
    return message if place is None else f"{message} ({_folder(place['module'])}{place['file']}:{place['line']})"


def _folder(module: str) -> str:
    """`/a/b/operators/` of `/a/b/operators/customer`."""
    return module.rpartition("/")[0] + "/" if "/" in module else ""


def _from_process(trace: str) -> str | None:
    if "Traceback (most recent call last)" not in trace:
        return None
    python = trace[trace.rindex("Traceback (most recent call last)") :]
    places = list(_PLACE_IN_PROCESS.finditer(python))
    if not places:
        return None
    error = _ERROR_IN_PROCESS.search(python, places[-1].end())
    told = f"{error['kind'].rpartition('.')[2]}: {error['message'].strip()}" if error else "a Python operator failed"
    return f"{told} ({places[-1]['file']}:{places[-1]['line']})"


def _from_java(trace: str) -> str:
    causes = _JAVA_CAUSE.findall(trace)
    return causes[-1] if causes else trace.strip().partition("\n")[0]
