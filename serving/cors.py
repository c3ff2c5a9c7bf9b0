"""Which web pages of other origins may call the API from a browser (https://fetch.spec.whatwg.org/#http-cors-protocol)."""

from collections.abc import Callable, Sequence

Header = Callable[[str], str | None]
_ALLOWED_HEADERS = "authorization, content-type, last-event-id, x-api-key"
_EXPOSED = ("access-control-expose-headers", "retry-after")
_MAX_AGE_S = "600"


class Cors:
    """Answers browsers. Without origins none may."""

    def __init__(self, origins: Sequence[str]) -> None:
        self._origins, self._any = frozenset(origins), "*" in origins

    def preflight(self, method: str, header: Header) -> list[tuple[str, str]] | None:
        """Headers for a browser that asks first; None: nothing of the kind, or no."""
        if method != "OPTIONS" or not header("access-control-request-method"):
            return None
        allowed = self.headers(header)
        if not allowed or allowed[0][0] == "vary":
            return None
        return [
            *allowed,
            ("access-control-allow-methods", "GET, POST"),
            ("access-control-allow-headers", _ALLOWED_HEADERS),
            ("access-control-max-age", _MAX_AGE_S),
        ]

    def allows(self, origin: str) -> bool:
        """Whether pages of this origin may call."""
        return self._any or origin in self._origins

    def headers(self, header: Header) -> list[tuple[str, str]]:
        """Headers of an answer."""
        if self._any:
            return [("access-control-allow-origin", "*"), _EXPOSED]
        if not self._origins:
            return []
        origin = header("origin")
        if origin not in self._origins or origin is None:
            return [("vary", "origin")]
        return [("access-control-allow-origin", origin), ("vary", "origin"), _EXPOSED]
