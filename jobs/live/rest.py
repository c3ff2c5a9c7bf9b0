"""A Flink cluster, by its REST interface."""

import json
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from typing import Any, Final

from jobs.runtime.errors import RuntimeProblem

DEFAULT: Final = "127.0.0.1:8081"
RUNNING: Final = frozenset({"INITIALIZING", "CREATED", "RUNNING", "RESTARTING", "RECONCILING"})
ENDED: Final = frozenset({"CANCELED", "FAILED", "FINISHED"})
"""In all other states, also while it is cancelled, a job holds its slots and may still write."""
_ANSWER_WITHIN_S: Final = 15.0
_LOOK_S: Final = 0.3
_KNOWN_WITHIN_S: Final = 10.0
"""A job that has just ended is not to be seen for a moment, and Flink shows what it saw up to 3 s ago."""
_NOT_FOUND: Final = 404


class ClusterProblem(RuntimeProblem):
    """The Flink cluster cannot be used; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Job:
    """A job as the cluster knows it."""

    job_id: str
    name: str
    state: str
    started_ms: int


class Cluster:
    """One session cluster."""

    def __init__(self, address: str) -> None:
        """`host:port` of the REST interface, or its URL."""
        self.url = (address if "://" in address else f"http://{address}").rstrip("/")
        if not self.url.startswith(("http://", "https://")):
            raise ClusterProblem(f"{address}: not host:port, http:// or https://")

    def free_slots(self) -> int:
        """How many more subtasks can run.

        Raises:
            ClusterProblem: no Flink answers. (So do all other methods.)
        """
        return int(self._ask("/overview")["slots-available"])

    def jobs(self) -> list[Job]:
        """All that it remembers, newest first."""
        found = [
            Job(job["jid"], job["name"], job["state"], job["start-time"]) for job in self._ask("/jobs/overview")["jobs"]
        ]
        return sorted(found, key=lambda job: -job.started_ms)

    def job(self, name_or_id: str) -> Job:
        """The job of that id or name; of several of a name, the one that runs, else the newest."""
        found = [job for job in self.jobs() if name_or_id in (job.job_id, job.name)]
        if not found:
            raise ClusterProblem(f"no job {name_or_id!r} at {self.url}; `segmill jobs` lists them")
        return min(found, key=lambda job: job.state not in RUNNING)

    def checkpoints(self, job_id: str) -> dict[str, Any]:
        """What Flink tells of a job's checkpoints: `counts`, `latest`, …"""
        found: dict[str, Any] = self._ask(f"/jobs/{job_id}/checkpoints")
        return found

    def state(self, job_id: str) -> str:
        """How a job is; `RUNNING` only if all of its tasks run, before that `INITIALIZING`."""
        found = self._ask(f"/jobs/{job_id}")
        running = all(vertex["status"] == "RUNNING" for vertex in found["vertices"])
        return "INITIALIZING" if found["state"] == "RUNNING" and not running else str(found["state"])

    def watermarks(self, job_id: str, operator: str) -> list[int]:
        """In ms, one of each subtask of the operator whose name begins like this; none from those that have none yet.

        Of an operator with several inputs, Flink tells that of one of them.
        """
        vertex = self._task(job_id, operator)["id"]
        return [int(one["value"]) for one in self._ask(f"/jobs/{job_id}/vertices/{vertex}/watermarks")]

    def held_up_ms(self, job_id: str, operator: str) -> int:
        """How long the task whose name begins like this had to wait until others took what it gave, all subtasks
        together, since it was last started. (Flink calls it backpressure; what it tells is some seconds old.)
        """
        return int(self._task(job_id, operator)["metrics"]["accumulated-backpressured-time"])

    def restarts(self, job_id: str) -> int:
        """How often the job was started again after a failure."""
        found: Any = self._ask(f"/jobs/{job_id}/metrics?get=numRestarts")
        return int(float(found[0]["value"])) if found else 0

    def failure(self, job_id: str) -> str | None:
        """The trace of the newest failure."""
        entries = self._ask(f"/jobs/{job_id}/exceptions").get("exceptionHistory", {}).get("entries", ())
        return str(entries[0]["stacktrace"]) if entries else None

    def stop(self, job_id: str, savepoint_dir: str | None, patience_s: float) -> str:
        """Stop with a savepoint; returns where it is."""
        body: dict[str, Any] = {"drain": False}
        if savepoint_dir is not None:
            body["targetDirectory"] = savepoint_dir
        trigger = self._ask(f"/jobs/{job_id}/stop", body)["request-id"]
        deadline = time.monotonic() + patience_s
        while time.monotonic() < deadline:
            found = self._ask(f"/jobs/{job_id}/savepoints/{trigger}")
            if found["status"]["id"] == "COMPLETED":
                operation = found["operation"]
                if "location" in operation:
                    return str(operation["location"])
                raise ClusterProblem(f"no savepoint was made, the job goes on: {_cause(operation['failure-cause'])}")
            time.sleep(_LOOK_S)
        raise ClusterProblem(f"the savepoint was not done within {patience_s:g} s; `segmill jobs` tells how it is")

    def cancel(self, job_id: str) -> None:
        """Stop without a savepoint; its last checkpoint stays."""
        self._ask(f"/jobs/{job_id}?mode=cancel", method="PATCH")

    def wait_ended(self, job_id: str, patience_s: float) -> str:
        """Wait until a job has ended; returns how. One that is not to be seen any more has been cancelled."""
        deadline = time.monotonic() + patience_s
        while True:
            state = next((job.state for job in self.jobs() if job.job_id == job_id), "CANCELED")
            if state in ENDED:
                return state
            if time.monotonic() > deadline:
                raise ClusterProblem(
                    f"{job_id} has not ended within {patience_s:g} s, it is {state.lower()}; `segmill jobs` tells when"
                )
            time.sleep(_LOOK_S)

    def not_ended(self, name: str) -> Job | None:
        """A job of that name that runs or has not quite ended."""
        return next((job for job in self.jobs() if job.name == name and job.state not in ENDED), None)

    def newest_state(self, name: str) -> str:
        """The newest savepoint or checkpoint of the jobs of that name."""
        deadline = time.monotonic() + _KNOWN_WITHIN_S
        while not (found := self._states(name)) and time.monotonic() < deadline:
            time.sleep(_LOOK_S)
        if not found:
            raise ClusterProblem(
                f"{self.url} remembers no checkpoint or savepoint of a job {name!r} (it forgets them when it starts "
                "anew): give the path to --from-savepoint"
            )
        return max(found)[1]

    def _task(self, job_id: str, operator: str) -> dict[str, Any]:
        """What Flink tells of the task whose name begins like this."""
        tasks: list[dict[str, Any]] = self._ask(f"/jobs/{job_id}")["vertices"]
        return next(task for task in tasks if task["name"].startswith(operator))

    def _states(self, name: str) -> list[tuple[int, str]]:
        found: list[tuple[int, str]] = []
        for job in self.jobs():
            if job.name == name:
                latest = self.checkpoints(job.job_id).get("latest", {})
                for kind in ("completed", "savepoint"):
                    one = latest.get(kind)
                    if one and one.get("external_path") and not one.get("discarded"):
                        found.append((one["trigger_timestamp"], one["external_path"]))
        return found

    def _ask(self, path: str, body: dict[str, Any] | None = None, method: str | None = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(  # noqa: S310  (http or https, see __init__)
            self.url + path, data, {"Content-Type": "application/json"} if data else {}, method=method
        )
        try:
            with urllib.request.urlopen(request, timeout=_ANSWER_WITHIN_S) as answer:  # noqa: S310
                return json.loads(answer.read() or b"{}")
        except urllib.error.HTTPError as error:
            raise ClusterProblem(f"Flink at {self.url}: {_told(error)}") from None
        except (OSError, ValueError) as error:
            reason = getattr(error, "reason", error)
            raise ClusterProblem(f"no Flink answers at {self.url} ({reason}); is --flink right?") from None


def _told(error: urllib.error.HTTPError) -> str:
    try:
        errors = json.loads(error.read()).get("errors", [])
    except (OSError, ValueError):
        errors = []
    return _cause({"stack-trace": str(errors[-1])}) if errors else f"{error.code} {error.reason}"


def _cause(failure: dict[str, str]) -> str:
    """The innermost cause of a Java trace, in one line."""
    lines = failure.get("stack-trace", "").splitlines()
    causes = [line.removeprefix("Caused by: ") for line in lines if line.startswith("Caused by: ")]
    return (causes or lines or ["?"])[-1 if causes else 0].strip()
