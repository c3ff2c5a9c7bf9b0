"""Where Redis is, and how a connection to it is opened: TCP, TLS or a socket; user, password and database."""

import asyncio
import ssl
from collections.abc import Callable
from typing import Any

from redis.connection import SSLConnection, parse_url

from serving.redis_wire import Argument, Wire

CONNECT_S = 2.0
_PORT = 6379


class RedisAddress:
    """A Redis URL, taken apart.

    Raises:
        ValueError: no address that can be used.
    """

    def __init__(self, url: str) -> None:
        self._parts: dict[str, Any] = dict(parse_url(url))
        self._tls = _tls(self._parts) if self._parts.get("connection_class") is SSLConnection else None

    async def open(self, wire: Callable[[], Wire]) -> Wire:
        """Connect; nothing is said yet.

        Raises:
            OSError: nobody is there, or the certificate is not to be trusted.
            TimeoutError: nobody has answered within `CONNECT_S`.
        """
        loop, parts = asyncio.get_running_loop(), self._parts
        async with asyncio.timeout(CONNECT_S):
            if "path" in parts:
                _, made = await loop.create_unix_connection(wire, parts["path"])
            else:
                host, port = parts.get("host") or "127.0.0.1", parts.get("port") or _PORT
                name = host if self._tls is not None else None
                _, made = await loop.create_connection(wire, host, port, ssl=self._tls, server_hostname=name)
        return made

    def greeting(self) -> list[tuple[Argument, ...]]:
        """The commands with which a connection begins: RESP3, who we are, and that changes of what we read be told."""
        parts = self._parts
        hello: tuple[Argument, ...] = ("HELLO", "3")
        if parts.get("password") is not None:
            hello = (*hello, "AUTH", parts.get("username") or "default", parts["password"])
        commands: list[tuple[Argument, ...]] = [hello, ("CLIENT", "SETNAME", "segmill-serve")]
        if parts.get("db"):
            commands.append(("SELECT", parts["db"]))
        return [*commands, ("CLIENT", "TRACKING", "ON")]


def _tls(parts: dict[str, Any]) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=parts.get("ssl_ca_certs"))
    if parts.get("ssl_cert_reqs") == "none":  # asked for in the address
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if parts.get("ssl_certfile"):
        context.load_cert_chain(parts["ssl_certfile"], parts.get("ssl_keyfile"), parts.get("ssl_password"))
    return context
