"""What a browser's EventSource gets in place of a problem that passes: a stream that says so, and ends.

By the standard any status but 200 ends an EventSource for good; a stream that ends it opens again by itself, after the
time that `retry` says, with the Last-Event-ID that it has
(https://html.spec.whatwg.org/multipage/server-sent-events.html#sse-processing-model).
"""

from typing import Final

from serving.routes import Reply

EVENT_STREAM: Final = "text/event-stream"
_PASSING: Final = (429, 503)
_RETRY_S: Final = "5"


def is_to_come_again(accept: str | None, status: int) -> bool:
    """Whether who asks wants nothing but a stream, as an EventSource does, and may have it later."""
    wanted = (accept or "").partition(";")[0].strip().lower()
    return wanted == EVENT_STREAM and status in _PASSING


def come_again(problem: Reply) -> Reply:
    """One event, `unavailable`, with the problem as its data; without an id, so that clients keep the one they have."""
    after_s = int(dict(problem.headers).get("retry-after", _RETRY_S))
    body = b"retry: %d\nevent: unavailable\ndata: %b\n\n" % (1000 * after_s, problem.body)
    return Reply(body, media_type=EVENT_STREAM)
