"""What can go wrong around a job."""


class RuntimeProblem(RuntimeError):  # noqa: N818  (a problem of the runtime, not of the program)
    """The embedded runtime cannot do its work; the message tells the reader what to do."""


class JobFailed(RuntimeProblem):
    """A job failed; the message is the innermost error with its place."""


class Terminated(SystemExit):
    """SIGTERM or SIGHUP came: the stack unwinds, so that nothing is left behind."""
