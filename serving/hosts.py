"""By which names a server may be called that wants no keys: those of this machine.

A web page can have its own name bound anew to 127.0.0.1 (DNS rebinding, https://en.wikipedia.org/wiki/DNS_rebinding).
To the browser all that a server here answers is then the page's own, and the page may read it. But the browser says by
which name it asks.
"""

import ipaddress
import re
from collections.abc import Sequence
from functools import lru_cache

from serving.cors import Cors, Header
from serving.problems import wrong_host, wrong_origin

_HOST = re.compile(r"(\[[0-9a-f:.]+\]|[^\s\[\]:@/]+)(?::[0-9]{1,5})?", re.IGNORECASE)
_READING = ("GET", "HEAD", "OPTIONS")


class Hosts:
    """Looks at Host, and at Origin where something is to be changed."""

    def __init__(self, allowed: Sequence[str], cors: Cors) -> None:
        """`allowed`: names beside those of this machine, without ports; `cors`: which other pages may call."""
        self._allowed, self._cors = frozenset(name.lower() for name in allowed), cors

    def check(self, method: str, host: str | None, header: Header) -> None:
        """`host`: by which name the server was called, as the client says.

        Raises:
            ProblemError: 421, by none of ours; 403, a page of another origin wants to change something.
        """
        if host is None or not self._is_ours(host):
            raise wrong_host()
        origin = header("origin")
        if method in _READING or origin is None or self._cors.allows(origin):
            return
        scheme, _, name = origin.partition("://")
        if scheme not in ("http", "https") or not self._is_ours(name):
            raise wrong_origin()

    def _is_ours(self, host: str) -> bool:
        found = _HOST.fullmatch(host)
        if found is None:
            return False
        name = found[1].strip("[]").lower()
        return name == "localhost" or name in self._allowed or _is_loopback(name)


@lru_cache(maxsize=64)
def _is_loopback(name: str) -> bool:
    """Whether it is an address of this machine: that is no name that could be bound to another one."""
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False
