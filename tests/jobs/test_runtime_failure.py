"""What is told of a failed job."""

from jobs.runtime.failure import explain

THREAD = """An error occurred while calling o30.execute.
: org.apache.flink.runtime.client.JobExecutionException: Job execution failed.
	at org.apache.flink.runtime.jobmaster.JobResult.toJobExecutionResult(JobResult.java:180)
Caused by: java.lang.reflect.InvocationTargetException
	... 15 more
Caused by: pemja.core.PythonException: <class 'operators.redis_connection.RedisFailure'>: Redis at unix:///s said: no
	at /app/operators/redis_connection.send(redis_connection.py:88)
	at /app/operators/redis_writer._flush(redis_writer.py:80)
	at pemja.core.object.PyIterator.next(Native Method)
	... 21 more
"""
PROCESS = """org.apache.flink.runtime.client.JobExecutionException: Job execution failed.
Caused by: java.lang.RuntimeException: Error received from SDK harness: Traceback (most recent call last):
  File "/lib/beam/sdk_worker.py", line 311, in _execute
    response = task()
  File "/app/operators/customer.py", line 44, in process_element
    raise ValueError("bad")
ValueError: bad: thing

	at org.apache.beam.runners.fnexecution.control.FnApiControlClient$ResponseStreamObserver.onNext(FnApi.java:180)
"""


def test_thread_mode() -> None:
    """The innermost Python error, with the file and line it was raised at."""
    assert explain(THREAD) == "RedisFailure: Redis at unix:///s said: no (/app/operators/redis_connection.py:88)"


def test_process_mode() -> None:
    """The same of a worker's traceback."""
    assert explain(PROCESS) == "ValueError: bad: thing (/app/operators/customer.py:44)"


def test_java_alone() -> None:
    """Without Python in it, the innermost cause."""
    assert explain("X: outer\n\tat a\nCaused by: java.io.IOException: No space left\n\tat b\n").endswith("left")
    assert explain("boom") == "boom"
