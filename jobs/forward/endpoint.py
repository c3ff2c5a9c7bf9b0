"""Where records go: one attempt to deliver one of them, and what the answer means."""

import ipaddress
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from importlib.metadata import version
from typing import Literal
from urllib.parse import urlsplit

import urllib3

from jobs.forward.errors import ForwardProblem
from jobs.forward.signature import sign

CONNECT_S = 5.0
MOST_RETRY_AFTER_S = 3600.0
_AGAIN = frozenset({408, 425, 429})
_GONE = 410
_KEPT_ANSWER_BYTES = 4096
"""A connection is used again if the answer is no longer; nobody reads it."""

Kind = Literal["delivered", "again", "refused", "gone"]


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of an attempt."""

    kind: Kind
    detail: str
    """For people; no part of the record and no secret."""
    status: int | None = None
    retry_after_s: float = 0.0
    """What the receiver asks for at least."""


def checked_url(url: str, *, allow_http: bool) -> str:
    """The URL, if it may be used.

    Raises:
        ForwardProblem: it is not https (http only to this machine), or holds a password.
    """
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        raise ForwardProblem(f"--url: {error}") from None
    if parts.scheme not in ("http", "https") or not host:
        raise ForwardProblem("--url: write https://host/path")
    if parts.username is not None or parts.password is not None:
        raise ForwardProblem(
            "--url: no user and password in it, please: it would be in logs; receivers check signatures"
        )
    if parts.scheme == "http" and not allow_http and not _is_loopback(host):
        raise ForwardProblem(
            f"--url: http to {host} would show customers' data to the network; use https, or --allow-http"
        )
    return url


def shown_url(url: str) -> str:
    """The URL without its query, which may hold a token."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}{parts.path}"


class Endpoint:
    """A receiver of webhooks; for use by several threads."""

    def __init__(self, url: str, secrets: Sequence[bytes], connections: int, timeout_s: float) -> None:
        """Nothing is sent yet. `timeout_s`: for an answer to begin."""
        self.url = url
        self._secrets = tuple(secrets)
        self._pool = urllib3.PoolManager(
            maxsize=connections,
            block=True,
            retries=False,
            timeout=urllib3.Timeout(connect=min(CONNECT_S, timeout_s), read=timeout_s),
        )
        self._agent = f"segmill/{version('segmill')}"

    def post(self, message_id: str, body: bytes) -> Answer:
        """Send one record, signed as of now."""
        now_s = int(time.time())
        headers = {
            "content-type": "application/json",
            "user-agent": self._agent,
            "webhook-id": message_id,
            "webhook-timestamp": str(now_s),
            "webhook-signature": sign(self._secrets, message_id, now_s, body),
        }
        try:
            # redirects are not followed: they could lead anywhere
            response = self._pool.request(
                "POST", self.url, body=body, headers=headers, redirect=False, preload_content=False
            )
            _let_go(response)
        except urllib3.exceptions.HTTPError as error:
            return Answer("again", f"no answer ({type(error).__name__})")
        return answer_of(response.status, response.headers.get("retry-after"), time.time())

    def close(self) -> None:
        """Close all connections."""
        self._pool.clear()


def answer_of(status: int, retry_after: str | None, now_s: float) -> Answer:
    """What a status means; `retry_after` is the header of that name."""
    detail = f"status {status}"
    if 200 <= status < 300:
        return Answer("delivered", detail, status)
    if status == _GONE:
        return Answer("gone", detail, status)
    if status in _AGAIN or status >= 500:
        return Answer("again", detail, status, _seconds(retry_after, now_s))
    return Answer("refused", detail, status)


def _seconds(retry_after: str | None, now_s: float) -> float:
    text = (retry_after or "").strip()
    if text.isascii() and text.isdigit():
        return min(float(text), MOST_RETRY_AFTER_S)
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        return 0.0
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return min(max(0.0, (moment - datetime.fromtimestamp(now_s, UTC)).total_seconds()), MOST_RETRY_AFTER_S)


def _let_go(response: urllib3.BaseHTTPResponse) -> None:
    """Give the connection back for the next record, if the answer is short; else close it."""
    length = response.headers.get("content-length", "")
    if length.isdigit() and int(length) <= _KEPT_ANSWER_BYTES:
        response.read()
        response.release_conn()
    else:
        response.close()


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
