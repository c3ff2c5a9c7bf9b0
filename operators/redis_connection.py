"""A connection to Redis that sends batches of writes and knows which failures pass by themselves."""

import ssl
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from typing import Any
from urllib.parse import unquote, urlsplit

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from schemas.writes import MOST_POPULAR, TOMBSTONE_TTL_MS

FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.05, 2.0
_PASSING_REPLIES = ("OOM", "BUSY", "LOADING", "READONLY", "MASTERDOWN", "TRYAGAIN", "MISCONF", "NOREPLICAS")
_SCHEMES = ("redis", "rediss", "unix")


class RedisFailure(RuntimeError):  # noqa: N818  (redis-py has a RedisError; this is not one of its own)
    """Writes could not be brought to Redis; the message names the address (never the password) and the remedy."""


class RedisRefused(RedisFailure):
    """Redis, or what its certificate says, is such that waiting is of no use."""


@dataclass(frozen=True, slots=True)
class RedisTarget:
    """Where writes go: picklable, handed to the operator."""

    url: str = field(repr=False)
    """`redis://`, `rediss://` or `unix://`, with credentials if need be."""
    prefix: str = "segmill:"
    patience_s: float = 30.0
    """How long a Redis that does not answer is waited for before the job fails."""

    def __post_init__(self) -> None:
        """Refuse what is no Redis address.

        Raises:
            RedisFailure: the URL has none of the three schemes, or its credentials are not to be told from the rest.
        """
        if not self._scheme:
            raise RedisFailure(f"a Redis address begins with redis://, rediss:// or unix:// (got {self.address!r})")
        try:
            parts = urlsplit(self.url)
        except ValueError:  # whose words may repeat the address
            raise RedisFailure(f"no Redis address: {self.address!r}") from None
        if self._scheme != "unix" and "@" in parts.path + parts.query + parts.fragment:
            raise RedisFailure(
                f"a user or password in a Redis address has '/', '?', '#' and '@' as %2F, %3F, %23 and %40 "
                f"(got {self.address!r}); SEGMILL_REDIS_PASSWORD takes it as it is"
            )

    @property
    def address(self) -> str:
        """The URL without its credentials: nothing of what stands before its last @, whatever it was meant to be."""
        before, at, shown = self.url.removeprefix(f"{self._scheme}://").rpartition("@")
        if at and ("?" in before or "#" in before):  # a password, or options, one of which may be a password
            shown = "…"
        shown = shown.partition("?")[0].partition("#")[0]
        return (f"{self._scheme}://" if self._scheme else "") + unquote(shown)

    @property
    def _scheme(self) -> str:
        """Empty: none that can be used."""
        return next((scheme for scheme in _SCHEMES if self.url.startswith(f"{scheme}://")), "")

    def connect(self) -> redis.Redis:
        """A client; connects at its first command. With TLS the server's certificate must be for its address."""
        parts = urlsplit(self.url)
        # by itself, redis-py takes any certificate of an authority that is trusted
        checked = parts.scheme == "rediss" and "ssl_cert_reqs=none" not in parts.query
        tls = {"ssl_check_hostname": True} if checked else {}
        return redis.Redis.from_url(
            self.url, socket_timeout=10.0, socket_connect_timeout=5.0, retry=Retry(NoBackoff(), 0), protocol=2, **tls
        )

    def reached(self) -> redis.Redis:
        """A client whose server has answered.

        Raises:
            RedisRefused: it does not let us in, its certificate is not to be trusted, or the URL cannot be used.
            RedisFailure: nobody answers.
        """
        try:
            client = self.connect()
            client.ping()
        except (redis.RedisError, ValueError, TypeError) as error:
            if refusal := self._refusal(error):
                raise RedisRefused(f"Redis at {self.address}: {refusal}: {error}") from None
            raise RedisFailure(f"no Redis answers at {self.address}: {error}") from None
        return client

    def _refusal(self, error: Exception) -> str | None:
        """What is wrong, where only a change of the settings helps."""
        if isinstance(error, redis.exceptions.AuthenticationError):
            return "not let in"
        of_tls = isinstance(error.__context__, ssl.SSLError | FileNotFoundError)  # the latter: of a certificate
        if of_tls and urlsplit(self.url).scheme == "rediss":
            return "TLS failed"
        return "the address cannot be used" if isinstance(error, ValueError | TypeError) else None


class RedisConnection:
    """Sends batches, each as one script call, and waits out what passes."""

    def __init__(
        self,
        target: RedisTarget,
        client: Any = None,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
        on_wait: Callable[[], None] = lambda: None,
    ) -> None:
        """Nothing is connected yet. `client`, `sleep` and `clock` are arguments for the tests.

        `on_wait` is called before each pause.
        """
        self._target, self._sleep, self._clock, self._on_wait = target, sleep, clock, on_wait
        self._client = target.connect() if client is None else client
        self._script = files("operators").joinpath("redis_writes.lua").read_bytes()
        self._sha = ""
        self._asked: Sequence[bytes] = ()
        self._line: Any = None
        """On which Redis is to answer for these; None: it was not reached."""
        self._fixed = (target.prefix, TOMBSTONE_TTL_MS, MOST_POPULAR)

    def send(self, writes: Sequence[bytes]) -> tuple[int, int]:
        """Apply the writes, in their order; returns how many were applied and how many were older than what is there.

        When this returns, Redis has answered for all of them.

        Raises:
            RedisFailure: Redis did not answer in time, or refused a write.
        """
        deadline, pause_s = self._clock() + self._target.patience_s, FIRST_PAUSE_S
        while True:
            try:
                return self._try(writes)
            except redis.RedisError as error:
                if not _passes(error):
                    raise RedisFailure(f"Redis at {self._target.address} refused a write: {error}") from None
                if self._clock() + pause_s > deadline:
                    raise RedisFailure(self._gave_up(error)) from None
            self._on_wait()
            self._sleep(pause_s)
            pause_s = min(2 * pause_s, LONGEST_PAUSE_S)

    def ask(self, writes: Sequence[bytes]) -> None:
        """Hand the writes over without waiting for Redis, which works on them meanwhile; `answer` has to follow."""
        self._asked, self._line = writes, None
        if not self._sha:
            return
        pool = self._client.connection_pool
        try:
            line = pool.get_connection()
        except redis.RedisError:
            return
        try:
            line.send_command("EVALSHA", self._sha, 0, *self._fixed, *writes)
        except redis.RedisError:
            pool.release(line)
        else:
            self._line = line

    def has_answered(self) -> bool:
        """Whether `answer` does not have to wait for Redis, as it has answered, or has gone."""
        try:
            return self._line is not None and bool(self._line.can_read(0))
        except redis.RedisError:
            return True

    def answer(self) -> tuple[int, int]:
        """Wait until Redis has answered for what it was asked: what `send` returns.

        Whatever has failed so far is tried again, as `send` does.

        Raises:
            RedisFailure: Redis did not answer in time, or refused a write.
        """
        line, self._line = self._line, None
        if line is not None:
            try:
                applied, older = line.read_response()
            except redis.RedisError:
                pass
            else:
                return applied, older
            finally:
                self._client.connection_pool.release(line)
        return self.send(self._asked)

    def close(self) -> None:
        """Drop the connection."""
        self._client.close()

    def _try(self, writes: Sequence[bytes]) -> tuple[int, int]:
        if not self._sha:
            self._sha = self._client.script_load(self._script)
        try:
            applied, older = self._client.evalsha(self._sha, 0, *self._fixed, *writes)
        except redis.exceptions.NoScriptError:  # restarted, or another server took over
            self._sha = self._client.script_load(self._script)
            applied, older = self._client.evalsha(self._sha, 0, *self._fixed, *writes)
        return applied, older

    def _gave_up(self, error: redis.RedisError) -> str:
        return (
            f"Redis at {self._target.address} was not usable for {self._target.patience_s:g} s ({error}); "
            "nothing is lost: start it, or give another address, and run again"
        )


def _passes(error: redis.RedisError) -> bool:
    """Whether waiting may help."""
    if isinstance(error, redis.exceptions.AuthenticationError):
        return False
    if isinstance(error, redis.ConnectionError | redis.TimeoutError):
        return True
    if isinstance(error, redis.exceptions.OutOfMemoryError | redis.exceptions.ReadOnlyError):
        return True
    return str(error).startswith(_PASSING_REPLIES)
