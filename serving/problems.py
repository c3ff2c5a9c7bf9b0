"""Everything that can go wrong with a request, as problem details (RFC 9457)."""

from typing import Any

import msgspec

MEDIA_TYPE = "application/problem+json"
_URN = "urn:segmill:problem:"


class Fault(msgspec.Struct, frozen=True):
    """What is wrong with one parameter or field."""

    where: str
    """Name of the parameter, or a path into the body."""
    detail: str


class Problem(msgspec.Struct, frozen=True, omit_defaults=True):
    """The body of every error."""

    type: str
    """Which kind of problem: `urn:segmill:problem:` and a word that never changes."""
    title: str
    """The same for all problems of a type."""
    status: int
    """The HTTP status."""
    detail: str
    """What is wrong this time, and what to do."""
    errors: tuple[Fault, ...] = ()
    """Parameters or fields at fault."""
    items: tuple[Any, ...] = ()
    """Of a batch of events none of which was accepted: each, as in the answer to an accepted batch."""


class ProblemError(Exception):
    """Ends a request with a problem."""

    def __init__(self, problem: Problem, *headers: tuple[str, str]) -> None:
        super().__init__(problem.type)
        self.problem, self.headers = problem, headers


def _made(word: str, status: int, title: str, detail: str, *headers: tuple[str, str], **more: Any) -> ProblemError:
    return ProblemError(Problem(_URN + word, title, status, detail, **more), *headers)


def invalid_parameter(*faults: Fault) -> ProblemError:
    """400: in the path or the query."""
    return _made("invalid-parameter", 400, "Invalid parameter", _told(faults), errors=faults)


def malformed_body(detail: str) -> ProblemError:
    """400: the body is not what its type says."""
    return _made("malformed-body", 400, "Malformed body", detail)


def no_key() -> ProblemError:
    """401: none was sent, or not in a way that is understood."""
    detail = "send an API key: Authorization: Bearer KEY, or X-Api-Key: KEY"
    return _made("no-key", 401, "No API key", detail, ("www-authenticate", 'Bearer realm="segmill"'))


def wrong_key() -> ProblemError:
    """401: not one of ours."""
    challenge = 'Bearer realm="segmill", error="invalid_token"'
    return _made("wrong-key", 401, "Wrong API key", "this API key is not known here", ("www-authenticate", challenge))


def wrong_scope(scope: str) -> ProblemError:
    """403: a good key that may not do this."""
    return _made("wrong-scope", 403, "Wrong scope", f"this API key has no scope {scope!r}")


def wrong_origin() -> ProblemError:
    """403: a web page of another origin, where nobody needs a key."""
    detail = "this server wants no keys, so a page of another origin may change nothing here; see cors_origins"
    return _made("wrong-origin", 403, "Wrong origin", detail)


def not_found(what: str) -> ProblemError:
    """404: a thing that is not there."""
    return _made("not-found", 404, "Not found", what)


def unknown_route() -> ProblemError:
    """404: no such path."""
    return _made("unknown-route", 404, "Unknown route", "there is no such path; /v1/openapi.json lists all")


def wrong_method(allowed: str) -> ProblemError:
    """405: the path exists, for other methods."""
    return _made("wrong-method", 405, "Wrong method", f"this path takes {allowed} only", ("allow", allowed))


def too_large(most_bytes: int) -> ProblemError:
    """413: the body."""
    return _made("body-too-large", 413, "Body too large", f"a body has at most {most_bytes:,} bytes")


def too_long_url(most: int) -> ProblemError:
    """414: path and query together."""
    return _made("url-too-long", 414, "URL too long", f"path and query have at most {most:,} characters together")


def too_many_headers(most_lines: int, most: int) -> ProblemError:
    """431: the headers."""
    detail = f"a request has at most {most_lines} headers, of {most:,} characters together"
    return _made("headers-too-large", 431, "Headers too large", detail)


def wrong_media_type() -> ProblemError:
    """415: the body is not JSON."""
    return _made("wrong-media-type", 415, "Wrong media type", "send the body as Content-Type: application/json")


def wrong_host() -> ProblemError:
    """421: called by a name that is not this machine's, where nobody needs a key."""
    detail = "this server wants no keys, so it answers to localhost and 127.0.0.1 alone; see allowed_hosts"
    return _made("wrong-host", 421, "Wrong host", detail)


def unusable_body(*faults: Fault, items: tuple[Any, ...] = ()) -> ProblemError:
    """422: JSON, but not what is wanted."""
    return _made("unusable-body", 422, "Unusable body", _told(faults), errors=faults, items=items)


def too_many_requests(wait_s: float) -> ProblemError:
    """429: more than the key may make."""
    after = ("retry-after", str(max(1, -int(-wait_s // 1))))
    return _made("too-many-requests", 429, "Too many requests", f"ask again in {wait_s:.1f} s", after)


def too_many_streams() -> ProblemError:
    """429: more streams at a time than the key may have."""
    detail = "this API key has as many streams open as it may; close one, or use one for all segments"
    return _made("too-many-streams", 429, "Too many streams", detail, ("retry-after", "5"))


def server_fault() -> ProblemError:
    """500: a fault of the program."""
    return _made("server-fault", 500, "Server fault", "a fault of this server, written to its log")


def unavailable(detail: str, retry_after_s: int = 1) -> ProblemError:
    """503: something behind this server."""
    return _made("unavailable", 503, "Unavailable", detail, ("retry-after", str(retry_after_s)))


def _told(faults: tuple[Fault, ...]) -> str:
    return "; ".join(f"{fault.where}: {fault.detail}" for fault in faults)
